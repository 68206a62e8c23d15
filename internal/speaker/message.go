package speaker

import (
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// Kinds of messages between director and speaker, with their bodies.
const (
	// KindState answers a hello: State.
	KindState = "state"
	// KindConfigure sets all routers: Configure. Director to speaker.
	KindConfigure = "configure"
	// KindLink tells of an interface's carrier: Link. Director to speaker.
	KindLink = "link"
	// KindHandover asks the speaker to give roles away on request: Handover.
	// Director to speaker.
	KindHandover = "handover"
	// KindStanding changes the standing of a router: Standing. Director to speaker.
	KindStanding = "standing"
	// KindShutdown asks the speaker to hand over everything and stop; no body.
	// Director to speaker.
	KindShutdown = "shutdown"
	// KindStopped answers KindShutdown; no body.
	KindStopped = "stopped"
	// KindTransition tells of a changed state: vrrp.Transition.
	KindTransition = "transition"
	// KindStatusRequest asks for a State with the same ID: StatusRequest.
	KindStatusRequest = "status-request"
	// KindStatus answers KindStatusRequest: State.
	KindStatus = "status"
)

// Configure is the whole set of routers that the speaker shall run.
type Configure struct {
	Routers []vrrp.RouterConfig `json:"routers"`
	// Resume says, by router name, in which state a speaker that died was.
	Resume map[string]vrrp.Resume `json:"resume,omitempty"`
	// Down lists interfaces that have no carrier.
	Down []string `json:"down,omitempty"`
}

// Link is news of an interface's carrier.
type Link struct {
	Interface string `json:"interface"`
	Up        bool   `json:"up"`
}

// Handover names the virtual routers to hand over.
type Handover struct {
	Routers []string `json:"routers"`
}

// Standing is what a router is to be worth, as in vrrp.RouterConfig.
type Standing struct {
	Router     string      `json:"router"`
	Priority   uint8       `json:"priority"`
	Ineligible vrrp.Reason `json:"ineligible,omitempty"`
}

// StatusRequest asks for the state of all routers.
type StatusRequest struct {
	ID uint64 `json:"id"`
}

// State is the state of all routers at one instant.
type State struct {
	ID uint64 `json:"id,omitempty"`
	// At is when the state was read.
	At time.Time `json:"at"`
	// Configured is false in a speaker that was never told its routers.
	Configured bool                `json:"configured"`
	Routers    []vrrp.RouterStatus `json:"routers"`
	Lateness   vrrp.Lateness       `json:"lateness"` // of adverts
}
