package control

// DirectorStatus is what another director last said of itself. Anybody on the
// segment can say so: it is for people, and decides nothing.
type DirectorStatus struct {
	Node      string `json:"node"`
	Address   string `json:"address"`   // its message came from
	Interface string `json:"interface"` // it came in by
	// Age is how old its last message is; Silent is set where the next ones are
	// overdue.
	Age     Milliseconds `json:"age_ms"`
	Silent  bool         `json:"silent"`
	Release string       `json:"release"`
	// Digest is that of its configuration; SameConfig says whether ours is equal.
	Digest     string            `json:"config_digest"`
	SameConfig bool              `json:"same_config"`
	Routers    []PeerRouter      `json:"routers"`
	Judgements []OtherJudgement  `json:"other_judgements,omitempty"`
	Heard      []AnnouncementEar `json:"announcements_heard,omitempty"`
	// Partial is set where it had more to say than fits into its messages.
	Partial bool `json:"partial,omitempty"`
}

// PeerRouter is a virtual router as the other director sees itself in it.
type PeerRouter struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Priority uint8  `json:"priority"`
}

// OtherJudgement is a target that the two directors judge differently.
type OtherJudgement struct {
	Target string `json:"target"`
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
	Reason string `json:"their_reason,omitempty"`
}

// AnnouncementEar is the newest announcement of an address that the other
// director heard.
type AnnouncementEar struct {
	Address string       `json:"address"`
	MAC     string       `json:"mac"`
	Age     Milliseconds `json:"age_ms"`
}
