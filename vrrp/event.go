package vrrp

import (
	"net/netip"
	"time"
)

// EventKind says what happened to a virtual router.
type EventKind uint8

const (
	_ EventKind = iota
	// EventStart begins to take part: Startup of RFC 9568, section 6.4.1.
	EventStart
	// EventResume begins with what an earlier process knew.
	EventResume
	// EventPacket is a packet that passed Packet.Parse.
	EventPacket
	// EventStop ends taking part, handing over first if master.
	EventStop
	// EventHandover has a master give its role away and stay as backup. Without a
	// successor it stays master.
	EventHandover
	// EventFault ends taking part at once: the link cannot carry adverts.
	EventFault
	// EventConfigure changes parameters of the running router.
	EventConfigure
	// EventSource changes the primary address of the interface.
	EventSource
	// EventRise makes a backup master, because its group is.
	EventRise
	// EventYield makes a master backup, because its group is.
	EventYield
)

// Event is one thing that happened. Which fields matter depends on Kind.
type Event struct {
	Kind    EventKind
	Settled time.Time     // EventStart: until then silence may be the segment's; zero: no longer
	Reason  Reason        // EventStart, EventStop, EventFault, EventRise, EventYield
	From    netip.Addr    // EventPacket: who sent it; EventSource: the new address
	Packet  *Packet       // EventPacket; not kept
	Config  *RouterConfig // EventConfigure: valid, of the same name, interface and VRID
	Resume  *Resume       // EventResume
}

// ActionKind says what is to be done.
type ActionKind uint8

const (
	_ ActionKind = iota
	// ActionSend sends Outgoing.
	ActionSend
	// ActionTransition reports Transition.
	ActionTransition
)

// Action is one effect of a Step. Actions are to be carried out in their order:
// on a takeover the advert comes before everything else.
type Action struct {
	Kind ActionKind
	Outgoing
	Transition Transition
}
