package peer

import (
	"net/netip"
)

// Version is the version of the messages. Another one is not read.
const Version = 1

// Message is what a director says of itself.
type Message struct {
	Node string `json:"node"`
	// Run tells this run of the director from all others, also on a machine that
	// has the same name.
	Run string `json:"run"`
	// Seq grows by one with each message of a run.
	Seq     uint64 `json:"seq"`
	Release string `json:"release"`
	// Config is the digest of the configuration in force.
	Config  string   `json:"config"`
	Routers []Router `json:"routers,omitempty"`
	Heard   []Heard  `json:"heard,omitempty"`
	// Serves are the sender's own addresses that its configuration lists as real
	// servers: at most MaxServes.
	Serves []netip.Addr `json:"serves,omitempty"`
	// Targets is how many things are checked; NotUp lists those that are not up.
	Targets int     `json:"targets"`
	NotUp   []NotUp `json:"not_up,omitempty"`
	// Connections counts the sender's; absent if it does not synchronise them, or could
	// not count them lately.
	Connections *Connections `json:"connections,omitempty"`
	// Partial is set where the lists had to be cut.
	Partial bool `json:"partial,omitempty"`
}

// Connections counts what a director has in its kernel's table.
type Connections struct {
	Own     uint32 `json:"own"`     // that it saw itself
	Learned uint32 `json:"learned"` // that others told it of
	// More is set where the count ended early, since the table is large.
	More bool  `json:"more,omitempty"`
	Ago  int64 `json:"ago_ms"` // when they were counted, before the message
}

// Router is one virtual router of the sender.
type Router struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Priority uint8  `json:"priority"`
}

// Heard is the newest announcement of a virtual address that the sender heard
// from another station.
type Heard struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac"`
	// Ago is how long before the message, in milliseconds.
	Ago int64 `json:"ago_ms"`
}

// NotUp is the sender's judgement of a target that is not up.
type NotUp struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}
