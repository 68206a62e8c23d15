package control

import (
	"errors"
	"time"
)

// ErrInvalid is wrapped by errors that say that a request makes no sense, such as
// one for a virtual router that there is none of. Nothing was touched.
var ErrInvalid = errors.New("invalid request")

// FailoverRequest asks for a hand-over of mastership.
type FailoverRequest struct {
	// Routers are the virtual routers by name; none: all of which this node is
	// master.
	Routers []string `json:"routers,omitempty"`
}

// FailoverResult says how a hand-over went.
type FailoverResult struct {
	// Done is set if every router was handed over: the successor's advert was
	// heard, and this node no longer has the addresses.
	Done      bool       `json:"done"`
	By        Caller     `json:"by"`
	Handovers []Handover `json:"handovers"`
	// Refused says why nothing was begun; empty if something was.
	Refused string `json:"refused,omitempty"`
}

// Handover is what became of one virtual router.
type Handover struct {
	Router string `json:"router"`
	// To is the address that the successor advertises from, and Priority its
	// priority.
	To       string `json:"to,omitempty"`
	Priority uint8  `json:"priority,omitempty"`
	// Age is how old the successor's last advert was when this was written.
	Age  Milliseconds `json:"advert_age_ms,omitempty"`
	Took Milliseconds `json:"took_ms"`
	// Problem says why it was not handed over; empty if it was.
	Problem string `json:"problem,omitempty"`
}

// Maintenance says since when, by whom and why a node does not become master.
type Maintenance struct {
	Since  time.Time `json:"since"`
	By     Caller    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// MaintenanceRequest switches maintenance on or off.
type MaintenanceRequest struct {
	On     bool   `json:"on"`
	Reason string `json:"reason,omitempty"` // at most MaxReason octets
	// Force switches it on also where nobody takes over.
	Force bool `json:"force,omitempty"`
}

// MaxReason bounds the reason of a maintenance, in octets.
const MaxReason = 1000

// MaintenanceResult says how switching went.
type MaintenanceResult struct {
	// Done is set if the node is as asked, as read back: no router takes part, or
	// all may again.
	Done bool `json:"done"`
	// Maintenance is what is in force now; absent if none is.
	Maintenance *Maintenance `json:"maintenance,omitempty"`
	Handovers   []Handover   `json:"handovers,omitempty"`
	// Refused says why nothing was changed.
	Refused string `json:"refused,omitempty"`
}
