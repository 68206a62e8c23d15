// Package config owns the text of the configuration: its TOML schema, the
// positions of its keys, templates, defaults, legality and the digest by which
// two directors compare theirs.
//
// It yields plain values, and the options of health checks as healthcheck has
// them, and stops there: it does not convert them to the types of the packages
// that act on them, and it changes nothing on the host.
package config

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Config is one validated configuration. It is never changed after Load.
type Config struct {
	// Node is this machine's name in the cluster: Options.Node, else [node]
	// name, else the short host name.
	Node       string
	VRRP       []VRRP          // in the order of the files
	SyncGroups []SyncGroup     // the same
	Services   []Service       // in the order of the files
	Sync       *ConnectionSync // nil: connections are not synchronised
	Timeouts   Timeouts
	API        API
	// MarkBase is the first of MarkCount marks that packets of checks through a
	// virtual address carry.
	MarkBase uint32
	// Digest is a SHA-256, in hexadecimal, of all that Canonical says.
	Digest string
	// Files lists what was read, in order.
	Files []string
	// Texts is what was read, for LoadTexts.
	Texts []Text
	// Warnings are findings that are legal but probably not meant.
	Warnings Diagnostics

	parts *parts // nil where c was not loaded from texts
}

// Text is one file of a configuration.
type Text struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// VRRP is one [[vrrp]] block: the addresses that move as one. It is one virtual
// router for each family of its addresses, see Config.Routers.
type VRRP struct {
	Name string
	// Group, in what Config.Routers returns, is the same for all virtual routers that
	// move as one; empty where one moves alone.
	Group string
	// Interface carries the adverts and the addresses. It is empty where a
	// template does not name one interface and Options.RequireDirector is off.
	Interface string
	// InterfaceTemplate is the template that yielded Interface, or empty.
	InterfaceTemplate string
	// RouterID is the VRID, 1..255, unique on its interface (RFC 9568, section 5.2.3).
	RouterID uint8
	// Version of VRRP: 3, or 2 for peers that know no other.
	Version uint8
	// Checksum is the form that version 3 sends, "rfc5798" or "rfc9568"; empty in
	// version 2, which has one form.
	Checksum string
	// Authentication is the simple-text password of version 2, at most 8 octets;
	// empty is none.
	Authentication Secret
	Priorities     Priorities
	// Priority is this node's, 1..255; 255 means address owner, 0 means that
	// this node is no director of the router.
	Priority uint8
	// Interval between adverts: 10ms..40.95s, a multiple of 10ms (RFC 9568, section
	// 5.2.7); in version 2 1s..255s, a multiple of 1s (RFC 3768, section 5.3.7).
	Interval     time.Duration
	Preempt      bool
	PreemptDelay time.Duration  // 0..1h, 0 is at once
	Addresses    []netip.Prefix // of both families, host bits kept, at least one
	// Also are addresses that move along and are not advertised; Routes and Rules
	// move along too.
	Also   []Extra
	Routes []Route
	Rules  []Rule
	// Peers are the directors' own addresses, of IPv6 link-local ones, this node's possibly among them,
	// that adverts are sent to and accepted from; nil is multicast.
	Peers []netip.Addr
	// MinTTL is the lowest TTL accepted from a peer, 1..255; 0 is any.
	MinTTL uint8
	GARP   GARP
	// VMAC gives each of the routers the MAC address that RFC 9568, section 7.3, has
	// for its family and VRID.
	VMAC bool
	// Track is what else the router depends on, in the order of the file.
	Track []Tracker
	// Notify says who is told what becomes of the router; nil: nobody.
	Notify *Notify
}

// Secret is a text that is not to be printed, which String does not.
type Secret string

// String returns a mask, or nothing for nothing.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString does the same for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// GARP says how a new master announces its addresses.
type GARP struct {
	Burst   int           // frames per address and form (request, reply), 1..100
	Spacing time.Duration // between the frames of a burst, 0..10s
	Again   time.Duration // from the first burst to the second, 0 is never
	Refresh time.Duration // between later single announcements, 0 is never
}

// Priorities are the base priorities of one virtual router: one for every node
// (All) or one for each named node (ByNode). One of the two is set.
type Priorities struct {
	All    uint8
	ByNode map[string]uint8
}

// For returns the priority of node, 1..255, or 0 if it has none.
func (p Priorities) For(node string) uint8 {
	if p.All != 0 {
		return p.All
	}
	return p.ByNode[node]
}

// Nodes returns the names that ByNode lists, sorted.
func (p Priorities) Nodes() []string {
	return slices.Sorted(maps.Keys(p.ByNode))
}

// Service is one balanced service: its listeners share scheduler and real servers.
type Service struct {
	Name string
	VRRP string // name of the [[vrrp]] block that holds the addresses of Listen
	// Single is the only virtual router of that block where it holds addresses of
	// the other family too; else empty.
	Single string
	// Protocol is "tcp", "udp" or "sctp".
	Protocol string
	Listen   []netip.AddrPort // of both families, at least one
	// FWMark is the firewall mark by which the kernel knows the service, and Marked
	// what gets it; Listen is one address of each family, without a port, then. 0: by Listen.
	FWMark uint32
	Marked []Range
	// Scheduler is the kernel's name of it, such as "wlc".
	Scheduler string
	// Forward is "dr", "tun" or "nat".
	Forward string
	// Redirect, with DR: real servers do not hold the virtual address, but redirect
	// what is sent to it to a local port.
	Redirect bool
	// LoadAlways has it in the kernel of every director, not only where the
	// addresses are.
	LoadAlways bool
	// Stateless: either director continues any connection by hashing alone.
	Stateless   bool
	Persistence time.Duration // whole seconds, 0 is off
	Attributes  Attributes
	Pool        Pool
	Checks      []Check // of real servers without their own; none: they are not checked
	// HealthyWhen says which of several checks a real server has to pass: "all" or
	// "any".
	HealthyWhen string
	Real        []Real // at least one
}

// Attributes are what the kernel's entry of a service has besides.
type Attributes struct {
	SchedulerFlags []string // such as "mh-port"; sorted
	// PersistencePrefix is the length of the mask that groups IPv4 clients, 1..32, and
	// PersistencePrefix6 that of IPv6 clients, 1..128; 0 is each client for itself.
	PersistencePrefix, PersistencePrefix6 uint8
	PersistenceEngine                     string // "sip", or empty: by the client's address
	OnePacket                             bool   // each datagram is balanced by itself
	Tunnel                                Tunnel // with forward "tun"
}

// Tunnel is how packets are wrapped for real servers.
type Tunnel struct {
	Type     string // "ipip", "gue" or "gre"
	Port     uint16 // of GUE, 1..65535; 0 otherwise
	Checksum string // "none", "full" or "remote"
}

// Pool says what the health of the real servers means for the service as a whole.
type Pool struct {
	// Quorum is the sum of the weights of the real servers that are up which the
	// service needs, 1 to the sum of all weights.
	Quorum uint32
	// Hysteresis is by how much the sum has to fall below Quorum before it counts
	// as lost, and to exceed it before it is regained; less than Quorum.
	Hysteresis uint32
	// Sorry gets the connections while the quorum is lost; nil is nobody. Its
	// weight has no meaning.
	Sorry *Real
	// OnFailure is what happens to the entry of a real server that goes down:
	// "remove", or "quiesce" for weight 0.
	OnFailure string
	// SlowStart is how long a real server that came up takes to its full weight;
	// 0 is at once.
	SlowStart time.Duration
	// Panic is the share of all weights, in percent, below which nobody is taken
	// out any more; 0 is never.
	Panic uint8
	// Drain is how long connections to a server that leaves the pool, by an
	// operator's order or since the configuration no longer has it, may take to end;
	// 0 is not at all.
	Drain time.Duration
}

// Real is one real server of a service.
type Real struct {
	Address netip.Addr
	Port    uint16 // 0 is the listener's; other values only with NAT and Redirect
	// Redirects: it maps to Port by itself; directors send to the listener's.
	Redirects bool
	Weight    uint32 // 0..65535, 0 takes no new connections
	// Upper is the number of connections at which it gets no new ones until they
	// fall below Lower; 0 is no limit, and for Lower three quarters of Upper.
	Upper, Lower uint32
	// Checks are its own instead of the service's; none: the service's.
	Checks []Check
}

// Local is the director that has the virtual address, as its own real server.
const Local = "local"

// Local reports whether it is the director itself. Its address is the loopback
// address, of the family that At was asked for.
func (r Real) Local() bool { return r.Address.IsLoopback() }

// String returns the address, with its port where it has one, or Local.
func (r Real) String() string {
	if r.Local() {
		return Local
	}
	if r.Port == 0 {
		return r.Address.String()
	}
	return netip.AddrPortFrom(r.Address, r.Port).String()
}

// Nodes returns every node name that a priority table lists, sorted.
func (c *Config) Nodes() []string {
	names := map[string]bool{}
	for _, v := range c.VRRP {
		for name := range v.Priorities.ByNode {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// VIPs returns every address that a virtual router holds, advertised or not,
// without prefix length, in the order of the files.
func (c *Config) VIPs() []netip.Addr {
	var all []netip.Addr
	for _, v := range c.VRRP {
		for _, p := range v.Addresses {
			all = append(all, p.Addr())
		}
		for _, e := range v.Also {
			all = append(all, e.Prefix.Addr())
		}
	}
	return all
}
