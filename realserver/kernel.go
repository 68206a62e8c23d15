package realserver

import (
	"context"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/netif"
)

// Kernel is what this package needs of its host. Each method either does all of
// what it says or returns an error; netif's functions of the same names say the
// rest.
type Kernel interface {
	ReadSysctl(path string) (string, error)
	// ApplySysctls makes want the whole set kept under the record: what an
	// earlier call set and want lacks is restored. Earlier values are on disk
	// before the first change.
	ApplySysctls(record string, want []netif.Sysctl) ([]netif.SysctlChange, error)
	RestoreSysctls(record string) (netif.SysctlRestore, error)

	// ReadAddresses lists all addresses. Ours are those with netif's tag on
	// the interfaces that Owns names; with the tag elsewhere they are a director's.
	ReadAddresses(ctx context.Context) ([]netif.PresentAddress, error)
	// ReconcileAddresses makes ours exactly the desired ones.
	ReconcileAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error)

	// ReadTunnel tells of an interface of any type whether it exists and is up.
	ReadTunnel(ctx context.Context, name string) (netif.Tunnel, error)
	EnsureTunnel(ctx context.Context, name string, mtu int) error
	RestoreTunnel(ctx context.Context, before netif.Tunnel, ours ...int) error

	// ReadRedirects and SetRedirects work on the whole of netif's own table.
	ReadRedirects(ctx context.Context) (netif.Redirects, error)
	SetRedirects(ctx context.Context, want []netif.Redirect) error

	// The same for clamps and silences. CanSilence says whether SetSilences can do
	// something on this kernel.
	ReadClamps(ctx context.Context) (netif.Clamps, error)
	SetClamps(ctx context.Context, want []netif.Clamp) error
	ReadSilences(ctx context.Context) (netif.Silences, error)
	SetSilences(ctx context.Context, want []netif.Silence) error
	CanSilence() (bool, error)

	GUEPorts(ctx context.Context) ([]netip.AddrPort, error)
	AddGUEPort(ctx context.Context, port netip.AddrPort) error
	RemoveGUEPort(ctx context.Context, port netip.AddrPort) error

	RouteTo(ctx context.Context, dst, source netip.Addr) (netif.Route, error)
	// Claimants asks the segment who else has an address, and returns their MACs.
	Claimants(ctx context.Context, ifname string, addr netip.Addr) ([]string, error)
	// Connections lists the TCP connections that have not ended.
	Connections(ctx context.Context) ([]netif.Connection, error)
}

// HostKernel is the Kernel of this process's network namespace.
func HostKernel() Kernel { return hostKernel{} }

type hostKernel struct{}

func (hostKernel) ReadSysctl(path string) (string, error) { return netif.ReadSysctl(path) }

func (hostKernel) ApplySysctls(record string, want []netif.Sysctl) ([]netif.SysctlChange, error) {
	return netif.ApplySysctls(record, want)
}

func (hostKernel) RestoreSysctls(record string) (netif.SysctlRestore, error) {
	return netif.RestoreSysctls(record)
}

func ourAddresses() *netif.Addresses {
	a := netif.NewAddresses()
	a.Interfaces = Owns
	return a
}

func (hostKernel) ReadAddresses(ctx context.Context) ([]netif.PresentAddress, error) {
	return ourAddresses().Read(ctx)
}

func (hostKernel) ReconcileAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error) {
	return ourAddresses().Reconcile(ctx, desired)
}

func (hostKernel) ReadTunnel(ctx context.Context, name string) (netif.Tunnel, error) {
	return netif.ReadTunnel(ctx, name)
}

func (hostKernel) EnsureTunnel(ctx context.Context, name string, mtu int) error {
	return netif.EnsureTunnel(ctx, name, mtu)
}

func (hostKernel) RestoreTunnel(ctx context.Context, before netif.Tunnel, ours ...int) error {
	return netif.RestoreTunnel(ctx, before, ours...)
}

func (hostKernel) RouteTo(ctx context.Context, dst, source netip.Addr) (netif.Route, error) {
	return netif.RouteTo(ctx, dst, source)
}

// claimsTake is how long others have to answer: a quarter of a second is more than
// any takes on a segment.
const claimsTake = 250 * time.Millisecond

func (hostKernel) Claimants(ctx context.Context, ifname string, addr netip.Addr) ([]string, error) {
	answers, err := arp.Probe(ctx, ifname, addr, claimsTake)
	var all []string
	for _, a := range answers {
		all = append(all, a.MAC.String())
	}
	return all, err
}

func (hostKernel) Connections(ctx context.Context) ([]netif.Connection, error) {
	return netif.Connections(ctx)
}

func (hostKernel) ReadRedirects(ctx context.Context) (netif.Redirects, error) {
	return netif.ReadRedirects(ctx)
}

func (hostKernel) SetRedirects(ctx context.Context, want []netif.Redirect) error {
	return netif.SetRedirects(ctx, want)
}

func (hostKernel) ReadClamps(ctx context.Context) (netif.Clamps, error) {
	return netif.ReadClamps(ctx)
}

func (hostKernel) SetClamps(ctx context.Context, want []netif.Clamp) error {
	return netif.SetClamps(ctx, want)
}

func (hostKernel) ReadSilences(ctx context.Context) (netif.Silences, error) {
	return netif.ReadSilences(ctx)
}

func (hostKernel) SetSilences(ctx context.Context, want []netif.Silence) error {
	return netif.SetSilences(ctx, want)
}

func (hostKernel) CanSilence() (bool, error) { return netif.CanSilence() }

func (hostKernel) GUEPorts(ctx context.Context) ([]netip.AddrPort, error) { return netif.GUEPorts(ctx) }

func (hostKernel) AddGUEPort(ctx context.Context, port netip.AddrPort) error {
	return netif.AddGUEPort(ctx, port)
}

func (hostKernel) RemoveGUEPort(ctx context.Context, port netip.AddrPort) error {
	return netif.RemoveGUEPort(ctx, port)
}
