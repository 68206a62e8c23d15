package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

// fakeHost is a machine in memory. It outlives the processes of its node.
type fakeHost struct {
	table   *ipvstest.Fake
	sync    *ipvstest.FakeSync
	segment *segment // nil: nobody else

	connections []ipvsctl.Connection

	mu         sync.Mutex
	calls      []string // what was done, in order
	addresses  []netif.PresentAddress
	attributes map[netif.Address]netif.Attributes
	links      []netif.VirtualLink // what there is
	routing    netif.Routing
	announced  map[arp.Target]arp.Schedule
	sysctls    []netif.Sysctl
	marks      []mark.Rule
	timeouts   ipvsctl.Timeouts
	refuse     error // of SetSysctls
	// refuseSome decides whether SetSysctls fails after it has set some.
	refuseSome func([]netif.Sysctl) error
	noTable    error // of Table
}

func newFakeHost() *fakeHost {
	return &fakeHost{table: ipvstest.NewFake(), sync: &ipvstest.FakeSync{Interfaces: []string{"eth1"}}}
}

func (h *fakeHost) say(format string, args ...any) {
	h.calls = append(h.calls, fmt.Sprintf(format, args...))
}

// did returns what was done since the last call.
func (h *fakeHost) did() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.calls
	h.calls = nil
	return calls
}

func (h *fakeHost) SetAddresses(_ context.Context, desired []netif.Address) (netif.AddressResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var result netif.AddressResult
	h.addresses = slices.DeleteFunc(h.addresses, func(p netif.PresentAddress) bool {
		gone := p.Ours && !slices.Contains(desired, p.Address)
		if gone {
			h.say("remove %s", p.Prefix)
			result.Removed = append(result.Removed, p.Address)
		}
		return gone
	})
	for _, a := range desired {
		if !slices.ContainsFunc(h.addresses, func(p netif.PresentAddress) bool { return p.Address == a }) {
			h.say("add %s", a.Prefix)
			h.addresses = append(h.addresses, netif.PresentAddress{Address: a, Ours: true, Proto: netif.Protocol})
			result.Added = append(result.Added, a)
		}
	}
	result.Present = slices.Clone(h.addresses)
	return result, nil
}

func (h *fakeHost) PrepareLinks(_ context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var next []netif.VirtualLink
	for _, l := range h.links {
		i := slices.IndexFunc(desired, func(d netif.VirtualLink) bool { return d.Name == l.Name })
		if i < 0 {
			h.say("unlink %s", l.Name)
			h.addresses = slices.DeleteFunc(h.addresses, func(p netif.PresentAddress) bool { return p.Interface == l.Name })
			continue
		}
		if l.Up && !desired[i].Up {
			h.say("lower %s", l.Name)
			l.Up = false
		}
		if l.Up && l.Muted != desired[i].Muted {
			h.say("%s muted: %v", l.Name, desired[i].Muted)
		}
		l.Muted = l.Up && desired[i].Muted
		next = append(next, l)
	}
	for _, d := range desired {
		if !slices.ContainsFunc(next, func(l netif.VirtualLink) bool { return l.Name == d.Name }) {
			h.say("link %s", d.Name)
			d.Up = false
			next = append(next, d)
		}
	}
	h.links = next
	return netif.VirtualLinkResult{}, nil
}

func (h *fakeHost) RaiseLinks(_ context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, l := range h.links {
		if !l.Up && slices.ContainsFunc(desired, func(d netif.VirtualLink) bool { return d.Name == l.Name && d.Up }) {
			h.say("raise %s", l.Name)
			h.links[i].Up = true
		}
	}
	return netif.VirtualLinkResult{}, nil
}

func (h *fakeHost) Links(context.Context) ([]netif.Link, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var links []netif.Link
	for i, l := range h.links {
		links = append(links, netif.Link{Name: l.Name, Index: 100 + i, MAC: l.MAC[:], Up: l.Up, Virtual: true})
	}
	return links, nil
}

func (h *fakeHost) SetAttributes(attributes map[netif.Address]netif.Attributes) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attributes = attributes
}

func (h *fakeHost) SetRouting(_ context.Context, desired netif.Routing) (netif.RoutingResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var result netif.RoutingResult
	if len(h.routing.Routes) != len(desired.Routes) || len(h.routing.Rules) != len(desired.Rules) {
		h.say("%d routes, %d rules", len(desired.Routes), len(desired.Rules))
	}
	h.routing = desired
	return result, nil
}

func (h *fakeHost) Addresses(context.Context) ([]netif.PresentAddress, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.addresses), nil
}

func (h *fakeHost) SetTable(ctx context.Context, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	result, err := ipvsctl.NewReconciler(h.table).Reconcile(ctx, desired, owned)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range result.Ops {
		h.say("ipvs %s", op)
	}
	return result, err
}

func (h *fakeHost) SetServices(ctx context.Context, desired ipvsctl.Table, keys []ipvsctl.ServiceKey, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	result, err := ipvsctl.NewReconciler(h.table).ReconcileServices(ctx, desired, keys, owned)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range result.Ops {
		h.say("ipvs %s", op)
	}
	return result, err
}

func (h *fakeHost) TableFingerprint(ctx context.Context) (uint64, error) {
	live, err := h.table.Read(ctx)
	if err != nil {
		return 0, err
	}
	sum := fnv.New64a()
	_, _ = fmt.Fprintf(sum, "%+v", live.Table())
	return sum.Sum64(), nil
}

func (h *fakeHost) Table(ctx context.Context) (ipvsctl.LiveTable, error) {
	h.mu.Lock()
	err := h.noTable
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return h.table.Read(ctx)
}

func (h *fakeHost) SetSync(ctx context.Context, desired []ipvsctl.SyncDaemon, owned func(ipvsctl.SyncDaemon) bool) (ipvsctl.SyncResult, error) {
	result, err := ipvsctl.ReconcileSync(ctx, h.sync, desired, owned)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, change := range result.Changes {
		h.say("%s", change)
	}
	return result, err
}

func (h *fakeHost) SyncDaemons(ctx context.Context) ([]ipvsctl.SyncDaemon, error) {
	return h.sync.SyncDaemons(ctx)
}

func (h *fakeHost) Services(ctx context.Context, keys []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error) {
	return h.table.ReadServices(ctx, keys)
}

func (h *fakeHost) Connections(_ context.Context, fn func(ipvsctl.Connection) bool) error {
	h.mu.Lock()
	all := slices.Clone(h.connections)
	h.mu.Unlock()
	for _, c := range all {
		if !fn(c) {
			break
		}
	}
	return nil
}

func (h *fakeHost) SetMarks(_ context.Context, rules []mark.Rule) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	changed := !reflect.DeepEqual(h.marks, rules)
	if changed {
		h.say("%d marks", len(rules))
		h.marks = rules
	}
	return changed, nil
}

func (h *fakeHost) SetSysctls(desired []netif.Sysctl) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	if h.refuseSome != nil {
		if err := h.refuseSome(desired); err != nil {
			h.sysctls = desired[:1]
			return err
		}
	}
	h.sysctls = desired
	return nil
}

func (h *fakeHost) Timeouts(context.Context) (ipvsctl.Timeouts, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.timeouts, nil
}

func (h *fakeHost) SetTimeouts(_ context.Context, t ipvsctl.Timeouts) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timeouts.TCP = cmp.Or(t.TCP, h.timeouts.TCP)
	h.timeouts.TCPFin = cmp.Or(t.TCPFin, h.timeouts.TCPFin)
	h.timeouts.UDP = cmp.Or(t.UDP, h.timeouts.UDP)
	return nil
}

func (h *fakeHost) Zero(_ context.Context, key ipvsctl.ServiceKey) error { return h.table.Zero(key) }

func (h *fakeHost) RestoreSysctls() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.say("restore sysctls")
	h.sysctls = nil
	return nil
}

func (h *fakeHost) Announce(targets map[arp.Target]arp.Schedule, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t := range targets {
		if _, before := h.announced[t]; !before || again {
			h.say("announce %s", t.Address)
			h.segment.announce(h, arp.Claim{Address: t.Address})
		}
	}
	h.announced = maps.Clone(targets)
}

func (h *fakeHost) Announced(context.Context) (map[arp.Target]arp.TargetStatus, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[arp.Target]arp.TargetStatus)
	for t := range h.announced {
		out[t] = arp.TargetStatus{Target: t}
	}
	return out, nil
}

// Claims hears the announcements of the other hosts on the segment.
func (h *fakeHost) Claims(ctx context.Context, _ string, held func(netip.Addr) bool, sink func(arp.Claim)) error {
	heard := h.segment.listen(h)
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-heard:
			if held(c.Address) {
				sink(c)
			}
		}
	}
}

// Claimant finds another host of the segment that has the address.
func (h *fakeHost) Claimant(_ context.Context, _ string, address netip.Addr, _ time.Duration) (string, error) {
	for _, other := range h.segment.others(h) {
		all, _ := other.Addresses(context.Background())
		if slices.ContainsFunc(all, func(p netif.PresentAddress) bool { return p.Prefix.Addr() == address }) {
			return "02:00:00:00:00:99", nil
		}
	}
	return "", nil
}

// segment carries announcements between fake hosts.
type segment struct {
	mu        sync.Mutex
	listeners map[*fakeHost]chan arp.Claim
}

func (s *segment) listen(h *fakeHost) <-chan arp.Claim {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners == nil {
		s.listeners = make(map[*fakeHost]chan arp.Claim)
	}
	s.listeners[h] = make(chan arp.Claim, 16)
	return s.listeners[h]
}

func (s *segment) others(but *fakeHost) []*fakeHost {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var others []*fakeHost
	for h := range s.listeners {
		if h != but {
			others = append(others, h)
		}
	}
	return others
}

func (s *segment) announce(from *fakeHost, c arp.Claim) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, ch := range s.listeners {
		if h != from {
			ch <- c
		}
	}
}

func (h *fakeHost) Run(ctx context.Context, _ func(netif.Event)) error {
	<-ctx.Done()
	return nil
}

// silentListener is a socket that nobody connects to.
type silentListener struct {
	closing sync.Once
	closed  chan struct{}
}

func listenToNobody(string) (net.Listener, error) {
	return &silentListener{closed: make(chan struct{})}, nil
}

func (l *silentListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *silentListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

func (l *silentListener) Addr() net.Addr { return &net.UnixAddr{} }

// pairConfig is one virtual router with one DR service of two real servers.
func pairConfig(node string) *config.Config {
	priorities := map[string]uint8{"lvs1": 150, "lvs2": 100}
	return &config.Config{
		Node: node,
		VRRP: []config.VRRP{{
			Name: "edge", Interface: "eth0", RouterID: 51,
			Priorities: config.Priorities{ByNode: priorities}, Priority: priorities[node],
			Interval: time.Second, Preempt: true,
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.100/24")},
			GARP:      config.GARP{Burst: 5, Spacing: 200 * time.Millisecond},
		}},
		Services: []config.Service{{
			Name: "web", VRRP: "edge", Protocol: "tcp", Scheduler: "wlc", Forward: "dr",
			Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:80")},
			Pool:   config.Pool{Quorum: 1, OnFailure: "remove"},
			Checks: []config.Check{{Type: "tcp", Every: 2 * time.Second, Timeout: time.Second, Rise: 2, Fall: 3}},
			Real: []config.Real{
				{Address: netip.MustParseAddr("192.0.2.11"), Weight: 1},
				{Address: netip.MustParseAddr("192.0.2.12"), Weight: 2},
			},
		}},
	}
}

var errTest = errors.New("refused by the test")

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func wantCalls(t *testing.T, h *fakeHost, when string, want ...string) {
	t.Helper()
	if got := h.did(); !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", when, got, want)
	}
}
