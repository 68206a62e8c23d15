package director

import (
	"context"
	"net/netip"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Host is the machine as the director sees it. Methods that only read may be
// called by many goroutines at once, the others by one.
type Host interface {
	// PrepareLinks makes the links with virtual MAC addresses those that are desired,
	// but brings up none; RaiseLinks does that.
	PrepareLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error)
	RaiseLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error)
	// Links reads the interfaces of the host.
	Links(ctx context.Context) ([]netif.Link, error)
	// SetAddresses makes the tagged addresses of the host those that are
	// desired, removals first.
	SetAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error)
	// SetAttributes says what some of the addresses have besides the usual, from
	// the next SetAddresses on.
	SetAttributes(map[netif.Address]netif.Attributes)
	// SetRouting makes the routes and rules of ours those that are desired.
	SetRouting(ctx context.Context, desired netif.Routing) (netif.RoutingResult, error)
	// Addresses reads the addresses of the host.
	Addresses(ctx context.Context) ([]netif.PresentAddress, error)
	// SetTable makes the owned part of the IPVS table the desired one.
	SetTable(ctx context.Context, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error)
	// SetServices does so for the services with the given keys alone, which are
	// sorted.
	SetServices(ctx context.Context, desired ipvsctl.Table, keys []ipvsctl.ServiceKey, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error)
	// TableFingerprint returns a number that changes with the IPVS table; it is
	// cheap, and may miss what is rarely changed.
	TableFingerprint(ctx context.Context) (uint64, error)
	// Table reads the IPVS table.
	Table(ctx context.Context) (ipvsctl.LiveTable, error)
	// SetSync makes the synchronisation daemons that are owned the desired ones.
	SetSync(ctx context.Context, desired []ipvsctl.SyncDaemon, owned func(ipvsctl.SyncDaemon) bool) (ipvsctl.SyncResult, error)
	// SyncDaemons reads the synchronisation daemons.
	SyncDaemons(ctx context.Context) ([]ipvsctl.SyncDaemon, error)
	// Services reads those of the given services that exist.
	Services(ctx context.Context, keys []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error)
	// Connections calls fn with the entries of the connection table, until it
	// returns false or ctx ends.
	Connections(ctx context.Context, fn func(ipvsctl.Connection) bool) error
	// SetMarks makes the rules the whole of those of ours that mark packets, and
	// reports whether that changed anything.
	SetMarks(ctx context.Context, rules []mark.Rule) (changed bool, err error)
	// SetSysctls makes desired the whole set of kernel parameters that are
	// ours; earlier values are written down before the first change.
	SetSysctls(desired []netif.Sysctl) error
	// RestoreSysctls undoes SetSysctls.
	RestoreSysctls() error
	// Timeouts of connections of the kernel's IPVS.
	ipvsctl.TimeoutHandle
	// Zero sets the counters of a service and its destinations to 0.
	Zero(ctx context.Context, key ipvsctl.ServiceKey) error
	// Announce sets which addresses are announced from now on; again starts
	// over with all of them. It does not block.
	Announce(targets map[arp.Target]arp.Schedule, again bool)
	// Announced reads what was announced.
	Announced(ctx context.Context) (map[arp.Target]arp.TargetStatus, error)
	// Claims reports each ARP packet on an interface in which another station
	// claims an address that is held, until ctx ends.
	Claims(ctx context.Context, ifname string, held func(netip.Addr) bool, sink func(arp.Claim)) error
	Claimer
	// Run watches links and addresses and sends announcements until ctx ends.
	// The sink must not block.
	Run(ctx context.Context, sink func(netif.Event)) error
}
