package trace

import (
	"net/netip"

	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Input is all that a journey depends on.
type Input struct {
	doctor.Input
	Directory *doctor.Directory
	// Client is the sender; port 0 is a connection that does not exist yet.
	Client   netip.AddrPort
	Target   netip.AddrPort
	Protocol ipvsctl.Protocol
	// Connections are the entries of the kernel's table for the client's address,
	// and the templates.
	Connections []ipvsctl.Connection
}

// Journey is the way of one packet, and of its answer.
type Journey struct {
	Client   netip.AddrPort `json:"client"`
	Target   netip.AddrPort `json:"target"`
	Protocol string         `json:"protocol"`
	// Director is who answers for the address; empty: nobody that was found.
	Director string `json:"director,omitempty"`
	// Here is set if that is this host.
	Here    bool     `json:"here"`
	Service *Service `json:"service,omitempty"`
	Choice  *Choice  `json:"choice,omitempty"`
	Hops    []Hop    `json:"hops"`
	// Needs are what the real server must have, or it does not answer.
	Needs []string `json:"needs,omitempty"`
	// Reply says in words by which way the answer goes.
	Reply string `json:"reply,omitempty"`
	// Ends says why the packet gets no further; empty if it arrives.
	Ends string `json:"ends,omitempty"`
	// Unknown are the parts that this host cannot know.
	Unknown []string `json:"unknown,omitempty"`
}

// Service is what matched the packet.
type Service struct {
	Name      string `json:"name,omitempty"` // in the configuration
	Match     string `json:"match"`          // "tcp 192.0.2.100:80", "fwmark 7 ipv4"
	Scheduler string `json:"scheduler"`
	From      string `json:"from"` // "the kernel" or "the configuration"
}

// Choice is how the real server is chosen.
type Choice struct {
	// Real is who gets the packet; invalid if it is one of several candidates, and
	// nobody can tell which.
	Real netip.AddrPort `json:"real,omitzero"`
	// By is "connection", "template" or "scheduler".
	By         string      `json:"by"`
	Why        string      `json:"why"`
	Candidates []Candidate `json:"candidates,omitempty"`
}

// Candidate is a real server that the scheduler may choose.
type Candidate struct {
	Real     netip.AddrPort `json:"real"`
	Forward  string         `json:"forward"`
	Weight   uint32         `json:"weight"`
	Active   uint32         `json:"active"`
	Inactive uint32         `json:"inactive"`
	// Out says why it is not chosen at all; empty if it may be.
	Out string `json:"out,omitempty"`
}

// Hop is one frame on a wire.
type Hop struct {
	From           string `json:"from"` // who sends it
	To             string `json:"to"`
	SourceMAC      string `json:"source_mac,omitempty"` // empty: not known
	DestinationMAC string `json:"destination_mac,omitempty"`
	// Outer is the second IP header of a tunnel.
	Outer       *Outer         `json:"outer,omitempty"`
	Source      netip.AddrPort `json:"source"`
	Destination netip.AddrPort `json:"destination"`
	Note        string         `json:"note,omitempty"`
}

// Outer is the header that a tunnel puts around a packet.
type Outer struct {
	Source      netip.Addr `json:"source"`
	Destination netip.Addr `json:"destination"`
}
