package realserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/haldir-lb/haldir/internal/netif"
)

// fake is a strict host: after every single change it demands that no VIP is
// visible to the segment and that every change can be undone from disk. It can
// kill its caller at any step.
type fake struct {
	// turn orders what a story does before it lets time pass, and what its subject
	// then reads: fake time alone does not for the race detector.
	turn      sync.Mutex
	t         *testing.T
	sysctls   map[string]string
	original  map[string]string
	addresses []netif.PresentAddress
	links     map[string]netif.Tunnel
	routes    []netif.Route
	open      []netif.Connection
	redirects []netif.Redirect
	strange   int
	clamps    []netif.Clamp
	silences  []netif.Silence
	noARP     bool // rules
	// claimants are the MACs of others that have an address.
	claimants  map[netip.Addr][]string
	claimError error
	lookups    int // of routes
	ports      []netip.AddrPort
	noIPIP     bool
	readOnly   bool  // sysctls
	addError   error // of every address
	onChange   func()
	delError   error
	record     string // the file of the sysctl record, once there is one

	changes []string // in order
	steps   int
	dieAt   int // step at which the caller is killed; 0 is never
}

// killed is what a caller dies of.
type killed struct{}

func (f *fake) takeTurn() {
	f.turn.Lock()
	defer f.turn.Unlock()
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, sysctls: map[string]string{"kernel/random/boot_id": "boot-1"}}
	for _, name := range append([]string{"all", "eth0", "eth1", "lo"}, netif.TunnelDevices()...) {
		for key, value := range map[string]string{"arp_ignore": "0", "arp_announce": "0", "rp_filter": "1", "accept_redirects": "1"} {
			f.sysctls["net/ipv4/conf/"+name+"/"+key] = value
		}
	}
	f.sysctls["net/ipv4/conf/eth0/arp_announce"] = "1"
	f.original = maps.Clone(f.sysctls)
	f.links = map[string]netif.Tunnel{"lo": {Name: "lo", Exists: true, Up: true}}
	for _, name := range netif.TunnelDevices() {
		f.links[name] = tunnelDown(name)
	}
	f.addresses = []netif.PresentAddress{present("lo", "127.0.0.1/8", 0), present("eth0", "192.0.2.11/24", 0)}
	return f
}

// tunnelDown is a tunnel device as it comes with its module.
func tunnelDown(name string) netif.Tunnel {
	t := netif.Tunnel{Name: name, Exists: true, MTU: 1476}
	if name == netif.DeviceIP6 {
		t.Inside = 41
	}
	return t
}

func present(ifname, prefix string, proto uint8) netif.PresentAddress {
	return netif.PresentAddress{
		Address: netif.Address{Interface: ifname, Prefix: netip.MustParsePrefix(prefix)},
		Ours:    proto == netif.Protocol && Owns(ifname), Proto: proto,
	}
}

// someoneSets changes a sysctl by another hand than the caller's.
func (f *fake) someoneSets(path, value string) { f.sysctls[path], f.original[path] = value, value }

// step is passed before and after everything that the caller asks for.
func (f *fake) step() {
	f.steps++
	if f.steps == f.dieAt {
		panic(killed{})
	}
}

// survive runs fn and reports whether it was killed at step dieAt.
func (f *fake) survive(dieAt int, fn func()) (died bool) {
	f.steps, f.dieAt = 0, dieAt
	defer func() {
		f.dieAt = 0
		if p := recover(); p != nil {
			if _, died = p.(killed); !died {
				panic(p)
			}
		}
	}()
	fn()
	return false
}

// change notes a change that was just made, and holds it against the rules.
func (f *fake) change(format string, args ...any) {
	f.t.Helper()
	f.changes = append(f.changes, fmt.Sprintf(format, args...))
	if f.onChange != nil {
		f.onChange()
	}
	last := f.changes[len(f.changes)-1]
	for _, a := range f.addresses {
		if !Owns(a.Interface) || !a.Prefix.IsSingleIP() {
			continue
		}
		if ignore, announce := f.effective("eth0", "arp_ignore"), f.effective("eth0", "arp_announce"); ignore == "0" || announce != "2" {
			f.t.Errorf("after %q the segment can see %s: arp_ignore is %s, arp_announce is %s", last, a.Address, ignore, announce)
		}
	}
	for _, a := range f.addresses {
		vip := a.Prefix.Addr()
		if a.Ours && vip.Is4() && !f.noARP && !slices.Contains(f.silences, netif.Silence{Address: vip}) {
			f.t.Errorf("after %q nothing but sysctls hides %s", last, a.Address)
		}
	}
	written := f.load()
	for path, value := range f.sysctls {
		before, known := f.original[path]
		if known && value != before && written[path].Earlier != before {
			f.t.Errorf("after %q %s is %s, and the record does not say that it was %s", last, path, value, before)
		}
	}
	f.step()
}

func (f *fake) effective(ifname, key string) string {
	return max(f.sysctls["net/ipv4/conf/all/"+key], f.sysctls["net/ipv4/conf/"+ifname+"/"+key])
}

func (f *fake) ReadSysctl(path string) (string, error) {
	f.takeTurn()
	f.step()
	value, ok := f.sysctls[path]
	if !ok {
		return "", fmt.Errorf("reading sysctl %s: %w", path, fs.ErrNotExist)
	}
	return value, nil
}

type fakeEntry struct{ Earlier, Ours string }

func (f *fake) load() map[string]fakeEntry {
	entries := map[string]fakeEntry{}
	data, err := os.ReadFile(f.record)
	if err == nil {
		err = json.Unmarshal(data, &entries)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Errorf("the fake's sysctl record: %v", err)
	}
	return entries
}

func (f *fake) save(entries map[string]fakeEntry) error {
	if len(entries) == 0 {
		if err := os.Remove(f.record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	return os.WriteFile(f.record, data, 0o600)
}

func (f *fake) write(path, value string) error {
	if f.sysctls[path] == value {
		return nil
	}
	if f.readOnly {
		return fmt.Errorf("writing sysctl %s: %w", path, syscall.EROFS)
	}
	f.sysctls[path] = value
	f.change("%s = %s", path, value)
	return nil
}

func (f *fake) ApplySysctls(record string, want []netif.Sysctl) ([]netif.SysctlChange, error) {
	f.takeTurn()
	f.step()
	f.record = record
	entries, wanted := f.load(), map[string]bool{}
	for _, s := range want {
		now, ok := f.sysctls[s.Path]
		if !ok {
			return nil, fmt.Errorf("reading sysctl %s: %w", s.Path, fs.ErrNotExist)
		}
		wanted[s.Path] = true
		if _, known := entries[s.Path]; !known {
			entries[s.Path] = fakeEntry{now, s.Value}
		}
	}
	if err := f.save(entries); err != nil {
		return nil, err
	}
	f.step()
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		if !wanted[path] && f.sysctls[path] == entries[path].Ours {
			if err := f.write(path, entries[path].Earlier); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range want {
		if err := f.write(s.Path, s.Value); err != nil {
			return nil, err
		}
	}
	maps.DeleteFunc(entries, func(path string, _ fakeEntry) bool { return !wanted[path] })
	if err := f.save(entries); err != nil {
		return nil, err
	}
	f.step()
	return nil, nil
}

func (f *fake) RestoreSysctls(record string) (netif.SysctlRestore, error) {
	f.takeTurn()
	f.step()
	f.record = record
	var result netif.SysctlRestore
	entries := f.load()
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(entries))) {
		e, now := entries[path], f.sysctls[path]
		if now != e.Ours && now != e.Earlier {
			result.Left = append(result.Left, netif.SysctlLeft{Path: path, Earlier: e.Earlier, Ours: e.Ours, Now: now})
			f.original[path] = now
			continue
		}
		if err := f.write(path, e.Earlier); err != nil {
			return result, err
		}
	}
	if err := f.save(nil); err != nil {
		return result, err
	}
	f.step()
	return result, nil
}

func (f *fake) ReadAddresses(ctx context.Context) ([]netif.PresentAddress, error) {
	f.takeTurn()
	f.step()
	return slices.Clone(f.addresses), ctx.Err()
}

func (f *fake) ReconcileAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error) {
	f.takeTurn()
	f.step()
	var result netif.AddressResult
	if err := ctx.Err(); err != nil {
		return result, err
	}
	for _, want := range desired {
		if slices.ContainsFunc(f.addresses, func(p netif.PresentAddress) bool { return p.Address == want }) {
			continue
		}
		if f.addError != nil {
			result.Failed = append(result.Failed, &netif.AddressError{Address: want, Op: "adding", Err: f.addError})
			continue
		}
		if link, ok := f.links[want.Interface]; ok && !link.Exists {
			result.Failed = append(result.Failed, &netif.AddressError{Address: want, Op: "adding", Err: netif.ErrNoInterface})
			continue
		}
		f.addresses = append(f.addresses, netif.PresentAddress{Address: want, Ours: true, Proto: netif.Protocol})
		f.change("+ %s", want)
	}
	for _, p := range slices.Clone(f.addresses) {
		if !p.Ours || slices.Contains(desired, p.Address) {
			continue
		}
		if f.delError != nil {
			result.Failed = append(result.Failed, &netif.AddressError{Address: p.Address, Op: "removing", Err: f.delError})
			continue
		}
		f.addresses = slices.DeleteFunc(f.addresses, func(q netif.PresentAddress) bool { return q == p })
		f.change("- %s", p.Address)
	}
	f.step()
	return result, nil
}

func (f *fake) ReadTunnel(_ context.Context, name string) (netif.Tunnel, error) {
	f.takeTurn()
	f.step()
	link := f.links[name]
	link.Name = name
	return link, nil
}

func (f *fake) EnsureTunnel(_ context.Context, name string, mtu int) error {
	f.takeTurn()
	f.step()
	if f.noIPIP {
		return fmt.Errorf("setting up tunnel device %s: %w", name,
			&netif.UnsupportedError{Feature: "IP-in-IP tunnels", Remedy: "load the kernel module ipip (modprobe ipip)"})
	}
	link := f.links[name]
	link.Name, link.Exists = name, true
	if mtu != 0 && link.MTU != mtu {
		link.MTU = mtu
		f.links[name] = link
		f.change("%s MTU %d", name, mtu)
	}
	if link.Inside != 0 {
		link.Inside = 0
		f.links[name] = link
		f.change("%s takes out everything", name)
	}
	if !link.Up {
		link.Up = true
		f.links[name] = link
		f.change("%s up", name)
	}
	return nil
}

func (f *fake) RestoreTunnel(_ context.Context, before netif.Tunnel, ours ...int) error {
	f.takeTurn()
	f.step()
	link := f.links[before.Name]
	if link.Up && !before.Up {
		link.Up = false
		f.links[before.Name] = link
		f.change("%s down", before.Name)
	}
	if link.MTU != before.MTU && slices.Contains(ours, link.MTU) {
		link.MTU = before.MTU
		f.links[before.Name] = link
		f.change("%s MTU %d", before.Name, link.MTU)
	}
	if link.Inside != before.Inside {
		link.Inside = before.Inside
		f.links[before.Name] = link
		f.change("%s takes out %d", before.Name, link.Inside)
	}
	return nil
}

// RouteTo takes the next hops of the lowest metric in turn.
func (f *fake) RouteTo(_ context.Context, dst, _ netip.Addr) (netif.Route, error) {
	f.takeTurn()
	f.step()
	var best []netif.Route
	for _, r := range f.routes {
		if r.Gateway.IsValid() && r.Gateway.Is4() != dst.Is4() {
			continue
		}
		if len(best) > 0 && r.Metric < best[0].Metric {
			best = nil
		}
		if len(best) == 0 || r.Metric == best[0].Metric {
			best = append(best, r)
		}
	}
	if len(best) == 0 {
		return netif.Route{}, fmt.Errorf("looking up the route to %s: %w", dst, syscall.ENETUNREACH)
	}
	f.lookups++
	return best[(f.lookups-1)%len(best)], nil
}

func (f *fake) GUEPorts(context.Context) ([]netip.AddrPort, error) {
	f.takeTurn()
	f.step()
	return slices.Clone(f.ports), nil
}

func (f *fake) AddGUEPort(_ context.Context, port netip.AddrPort) error {
	f.takeTurn()
	f.step()
	if !slices.Contains(f.ports, port) {
		f.ports = append(f.ports, port)
		slices.SortFunc(f.ports, netip.AddrPort.Compare)
		f.change("GUE at %s", port)
	}
	return nil
}

func (f *fake) RemoveGUEPort(_ context.Context, port netip.AddrPort) error {
	f.takeTurn()
	f.step()
	if i := slices.Index(f.ports, port); i >= 0 {
		f.ports = slices.Delete(f.ports, i, i+1)
		f.change("no GUE at %s", port)
	}
	return nil
}

func (f *fake) ReadRedirects(context.Context) (netif.Redirects, error) {
	f.takeTurn()
	f.step()
	return netif.Redirects{Present: len(f.redirects)+f.strange > 0, Rules: slices.Clone(f.redirects), Strange: f.strange}, nil
}

func (f *fake) SetRedirects(_ context.Context, want []netif.Redirect) error {
	f.takeTurn()
	f.step()
	f.redirects, f.strange = slices.Clone(want), 0
	f.change("redirects %v", want)
	return nil
}

func (f *fake) ReadClamps(context.Context) (netif.Clamps, error) {
	f.takeTurn()
	f.step()
	return netif.Clamps{Present: len(f.clamps) > 0, Rules: slices.Clone(f.clamps)}, nil
}

func (f *fake) SetClamps(_ context.Context, want []netif.Clamp) error {
	f.takeTurn()
	f.step()
	f.clamps = slices.Clone(want)
	f.change("clamps %v", want)
	return nil
}

func (f *fake) ReadSilences(context.Context) (netif.Silences, error) {
	f.takeTurn()
	f.step()
	return netif.Silences{Present: len(f.silences) > 0, Rules: slices.Clone(f.silences)}, nil
}

func (f *fake) SetSilences(_ context.Context, want []netif.Silence) error {
	f.takeTurn()
	f.step()
	if f.noARP {
		return &netif.UnsupportedError{Feature: "rules for ARP"}
	}
	f.silences = slices.Clone(want)
	f.change("silences %v", want)
	return nil
}

func (f *fake) CanSilence() (bool, error) { return !f.noARP, nil }

func (f *fake) Claimants(_ context.Context, _ string, addr netip.Addr) ([]string, error) {
	return f.claimants[addr], f.claimError
}

func (f *fake) Connections(context.Context) ([]netif.Connection, error) {
	f.takeTurn()
	f.step()
	return f.open, nil
}

// String shows the whole host, for comparisons.
func (f *fake) String() string {
	var lines []string
	for path, value := range f.sysctls {
		lines = append(lines, path+" = "+value)
	}
	for _, a := range f.addresses {
		lines = append(lines, fmt.Sprintf("%s tag %d", a.Address, a.Proto))
	}
	for _, l := range f.links {
		lines = append(lines, fmt.Sprintf("%+v", l))
	}
	lines = append(lines, fmt.Sprintf("GUE at %v", f.ports))
	for _, r := range f.redirects {
		lines = append(lines, "redirect "+r.String())
	}
	lines = append(lines, fmt.Sprintf("clamps %v", f.clamps), fmt.Sprintf("silences %v", f.silences))
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
