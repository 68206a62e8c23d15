package traffic

import "time"

// Report is the account of one stream during one phase.
type Report struct {
	Stream string `json:"stream"` // "udp" or "tcp"
	Phase  string `json:"phase"`
	// From and To are when the first and the last request of the phase were sent.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`

	Sent     uint64 `json:"sent"`
	Answered uint64 `json:"answered"`
	Lost     uint64 `json:"lost"`    // no answer within the timeout
	Refused  uint64 `json:"refused"` // an ICMP error, or a connection refused
	Reset    uint64 `json:"reset"`   // a connection that was made and then reset or closed without an answer
	Unsent   uint64 `json:"unsent"`  // the client's own kernel refused to send
	// Skipped requests were never tried: the client itself was held up for more
	// than a second.
	Skipped uint64 `json:"skipped"`
	// TooLate counts answers after the timeout, to requests that count as lost.
	TooLate    uint64 `json:"too_late"`
	Duplicates uint64 `json:"duplicates"`
	// Reordered counts answers that came after the answer to a later request.
	Reordered uint64 `json:"reordered"`

	Servers []Server `json:"servers"` // sorted by name
	// Gap is the longest time without a good request around a failed one.
	Gap Gap `json:"gap"`
	// Episodes are the troubles in order, each in the phase in which most of its
	// requests failed; the first 1000 of a phase are kept.
	Episodes []Episode `json:"episodes,omitempty"`
	Latency  Spread    `json:"latency"`
	// Lateness is the client's own: how long after its time a request was sent.
	Lateness Spread `json:"lateness"`
}

// Failed is how many requests got no good answer, whatever the reason.
func (r Report) Failed() uint64 { return r.Lost + r.Refused + r.Reset }

// Server is one responder's part in a phase.
type Server struct {
	Name     string `json:"name"`
	Answered uint64 `json:"answered"`
	// TTLs counts the answers by the time to live they arrived with; empty for
	// TCP, where it is not seen.
	TTLs map[uint8]uint64 `json:"ttls,omitempty"`
}

// Server returns the part of the responder with this name, zero if it had none.
func (r Report) Server(name string) Server {
	for _, s := range r.Servers {
		if s.Name == name {
			return s
		}
	}
	return Server{Name: name}
}

// Gap is a time in which every request failed, as the client sees it.
type Gap struct {
	// Duration is from the last good request before to the first good one after,
	// both at the time of sending: the outage lasted no longer.
	Duration time.Duration `json:"duration_ns"`
	// AtLeast is from the first failed request to the last: the outage lasted no
	// less. With a client on time the two differ by two periods.
	AtLeast time.Duration `json:"at_least_ns"`
	Failed  uint64        `json:"failed"`
	// Open is set where no good request has come after it.
	Open bool `json:"open,omitempty"`
}

// Episode is a trouble: failed requests with no calm between them.
type Episode struct {
	// Start is when the last good request before it was sent, or the first failed
	// one where there was none before.
	Start time.Time `json:"start"`
	// Duration is from Start to the first good request after the last failed one.
	Duration time.Duration `json:"duration_ns"`
	Lost     uint64        `json:"lost"`
	Refused  uint64        `json:"refused"`
	Reset    uint64        `json:"reset"`
	// Answered counts the good requests in between.
	Answered uint64 `json:"answered"`
	Gap      Gap    `json:"gap"` // the longest in it
	Open     bool   `json:"open,omitempty"`
}

// Failed is how many requests the trouble cost.
func (e Episode) Failed() uint64 { return e.Lost + e.Refused + e.Reset }

// Spread summarises durations. Median and P99 are at most 1/16 too high.
type Spread struct {
	Median time.Duration `json:"median_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
}

// Tick is what became of the requests that were sent in one tenth of a second,
// as known a tenth of a second later.
type Tick struct {
	Stream string    `json:"stream"`
	At     time.Time `json:"at"` // beginning
	Sent   int       `json:"sent"`
	// Answered counts by responder.
	Answered map[string]int `json:"answered,omitempty"`
	// Failed counts refused and reset; what is in neither is not answered yet.
	Failed int `json:"failed,omitempty"`
	// Late is the client's own greatest lateness.
	Late time.Duration `json:"late_ns,omitempty"`
}

// Good is how many requests of the tick were answered.
func (t Tick) Good() int {
	sum := 0
	for _, n := range t.Answered {
		sum += n
	}
	return sum
}
