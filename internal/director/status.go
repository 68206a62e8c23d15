package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// speakerBound is how long a status waits for the speaker.
	speakerBound = time.Second
	// kernelBound is how long a status waits for the kernel.
	kernelBound = 3 * time.Second
)

// view is everything a status is made of.
type view struct {
	now      time.Time
	options  Options
	config   *config.Config
	loaded   time.Time
	reload   *control.ReloadResult
	roles    map[string]Role
	health   map[string]healthcheck.Verdict
	probes   *Probes
	children process.Children
	applied  Applied
	claims   map[netip.Addr]claim
	peers    []peer.Peer
	pools    map[ipvsctl.ServiceKey]Pool
	track    trackView

	maintenance        *control.Maintenance
	maintenanceProblem string
	overrides          overrides
	leaving            []departure
	journalProblem     string
	eventsLost         uint64
	webProblem         string
	rivals             map[string]rival

	// What was asked for this status, each with the error if there was none.
	speaker      speaker.State
	speakerErr   error
	announced    map[arp.Target]arp.TargetStatus
	announcedErr error
	addresses    []netif.PresentAddress
	addressErr   error
	links        []netif.Link
	linksErr     error
	table        ipvsctl.LiveTable
	tableErr     error
	syncs        []ipvsctl.SyncDaemon
	syncErr      error
	counts       *control.SyncConnections
}

// Status implements control.Backend: roles and peers are asked of the speaker,
// addresses and the IPVS table read from the kernel, now.
func (d *Director) Status(ctx context.Context) (control.Status, error) {
	v := view{options: d.Options}
	err := d.do(ctx, func() {
		v.rivals = make(map[string]rival, len(d.rivals))
		for name, r := range d.rivals {
			v.rivals[name] = *r
		}
		v.maintenance, v.maintenanceProblem = d.maintenance, d.maintenanceProblem
		v.config, v.loaded, v.children = d.config, d.loaded, d.children
		v.pools, v.overrides, v.leaving = d.pools, d.overrides, d.leaving // never changed, only replaced
		v.roles, v.health, v.claims = maps.Clone(d.roles), maps.Clone(d.health), maps.Clone(d.claims)
		v.probes = d.probes
		v.track = d.viewTracking(time.Now())
		v.peers = d.peers.book.Peers(time.Now())
		if d.lastReload != nil {
			last := *d.lastReload
			v.reload = &last
		}
	})
	if err != nil {
		return control.Status{}, fmt.Errorf("asking the director: %w", err)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		v.speaker, v.speakerErr = d.askSpeaker(ctx)
	}()
	kernel, cancel := context.WithTimeout(ctx, kernelBound)
	defer cancel()
	v.addresses, v.addressErr = d.Host.Addresses(kernel)
	if slices.ContainsFunc(v.config.VRRP, func(r config.VRRP) bool { return r.VMAC }) {
		v.links, v.linksErr = d.Host.Links(kernel)
	}
	if len(v.config.Services) > 0 {
		v.table, v.tableErr = d.Host.Table(kernel)
	}
	if v.config.Sync != nil {
		v.syncs, v.syncErr = d.Host.SyncDaemons(kernel)
		if v.syncErr == nil {
			v.counts, v.syncErr = countLearned(kernel, d.Host)
		}
	}
	v.announced, v.announcedErr = d.Host.Announced(kernel)
	v.applied = d.applier.outcome()
	v.journalProblem, v.eventsLost = d.journal.Trouble()
	v.webProblem = d.web.trouble()
	<-asked
	v.now = time.Now()
	return v.status(), nil
}

// askSpeaker asks the speaker for the state of its routers.
func (d *Director) askSpeaker(ctx context.Context) (speaker.State, error) {
	answer := make(chan speaker.State, 1)
	var id uint64
	err := d.do(ctx, func() {
		d.nextID++
		id = d.nextID
		d.requests[id] = answer
		d.send(d.Speaker, speaker.KindStatusRequest, strconv.FormatUint(id, 10), speaker.StatusRequest{ID: id})
	})
	if err != nil {
		return speaker.State{}, fmt.Errorf("asking the director: %w", err)
	}
	bound := time.NewTimer(speakerBound)
	defer bound.Stop()
	select {
	case state := <-answer:
		return state, nil
	case <-bound.C:
		// Also for a client that is gone: the loop answers as long as it runs.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), speakerBound)
		defer cancel()
		_ = d.do(bounded, func() { delete(d.requests, id) })
		return speaker.State{}, errors.New("the speaker does not answer")
	}
}

// status is a pure function of the view.
func (v *view) status() control.Status {
	s := control.Status{
		API: control.Version, Node: v.config.Node, At: v.now, Release: v.options.Release,
		Config:      control.ConfigStatus{Path: v.options.Path, Digest: v.config.Digest, Loaded: v.loaded, LastReload: v.reload},
		Maintenance: v.maintenance,
		Problems:    []string{},
		EventsLost:  v.eventsLost,
	}
	if v.children.Supervisor != 0 {
		s.Processes = append(s.Processes, control.ProcessStatus{Role: string(process.Supervisor), PID: v.children.Supervisor, Since: v.children.Since})
	}
	for _, c := range v.children.Children {
		s.Processes = append(s.Processes, control.ProcessStatus{
			Role: string(c.Role), PID: c.PID, Since: c.Since, Restarts: c.Restarts,
			LastExit: c.LastExit, Down: control.Of(c.Down), Scheduling: c.Scheduling,
		})
	}
	for _, r := range v.config.Routers() {
		s.Routers = append(s.Routers, v.router(r))
	}
	for _, service := range v.config.Services {
		for _, listen := range service.Listen {
			s.Services = append(s.Services, v.service(service.At(listen), listen))
		}
	}
	s.Groups = v.groups()
	s.Removed = v.removed()
	for _, key := range v.applied.Table.Foreign {
		if _, there := v.table.Find(key); there {
			s.Foreign = append(s.Foreign, key.String())
		}
	}
	for what, err := range map[string]error{"virtual routers": v.speakerErr, "addresses": v.addressErr, "interfaces": v.linksErr, "IPVS table": v.tableErr, "announcements": v.announcedErr, "connection sync": v.syncErr} {
		if err != nil {
			s.Unknown = append(s.Unknown, fmt.Sprintf("%s: %v", what, err))
		}
	}
	slices.Sort(s.Unknown)
	if v.speakerErr == nil {
		s.Lateness = lateness(v.speaker.Lateness)
	}
	for _, p := range v.peers {
		s.Directors = append(s.Directors, v.director(p))
	}
	s.Sync = v.syncStatus()
	s.Drift = v.applied.Drift.status(v.now)
	s.Problems = append(s.Problems, v.problems(&s)...)
	return s
}

func (v *view) router(r config.VRRP) control.RouterStatus {
	out := control.RouterStatus{
		Name: r.Name, Interface: r.Interface, VRID: r.RouterID, Priority: r.Priority,
		Interval: control.Of(r.Interval), State: "unknown",
	}
	for _, live := range v.speaker.Routers {
		if live.Name != r.Name {
			continue
		}
		out.State, out.Since, out.Reason = live.State.String(), live.Since, string(live.Reason)
		out.Priority, out.Interval = live.Priority, control.Of(live.Interval)
		out.Source, out.Master = text(live.Source), text(live.Master)
		out.Sent, out.Received, out.Dropped = live.Sent, live.Received, live.Dropped
		out.Lateness, out.MaxLate = control.Of(live.LatestLateness), control.Of(live.MaxLateness)
		out.Problem = live.Problem
		out.Transitions = live.Entered
		if second, known := v.rivals[r.Name]; known {
			out.SplitBrain, out.SplitBrains = second.status(v.now), second.episodes
		}
		out.Ineligible, out.Ceded = string(live.Ineligible), live.Ceded
		if h := live.Heard; h != nil {
			out.Peer = &control.PeerStatus{
				Address: text(h.From), Priority: h.Priority, Interval: control.Of(h.Interval),
				Age: control.Of(h.Age + v.now.Sub(v.speaker.At)),
			}
		}
	}
	for i, a := range heldBy(r) {
		status := v.address(a.Interface, a.Prefix)
		status.Extra = i >= len(r.Addresses)
		out.Addresses = append(out.Addresses, status)
	}
	out.VirtualMAC = v.virtualMAC(r)
	v.tracking(&out, r)
	return out
}

func (v *view) address(ifname string, prefix netip.Prefix) control.AddressStatus {
	address := netif.Address{Interface: ifname, Prefix: prefix}
	out := control.AddressStatus{Address: prefix.String(), Interface: ifname}
	if v.addressErr == nil {
		present := false
		for _, p := range v.addresses {
			if p.Address == address {
				present, out.Ours = true, p.Ours
			}
		}
		out.Present = &present
	}
	for _, f := range v.applied.Addresses.Failed {
		if f.Address == address {
			out.Error = f.Error()
		}
	}
	out.PutBack = v.applied.PutBack[address]
	announced := v.announced[arp.Target{Interface: ifname, Address: prefix.Addr()}]
	out.Announced, out.Announcements = announced.Last, announced.Frames
	out.Error = cmp.Or(out.Error, announced.Problem)
	if c, ok := v.claims[prefix.Addr()]; ok {
		age := control.Since(c.at, v.now)
		out.ClaimedBy, out.Claimed = c.mac.String(), &age
	}
	return out
}

func (v *view) service(s config.Service, listen netip.AddrPort) control.ServiceStatus {
	out := control.ServiceStatus{
		Name: s.Name, Router: s.Router(listen), Listen: listenText(s, listen), Protocol: s.Protocol, Forward: s.Forward, Scheduler: s.Scheduler,
	}
	var live ipvsctl.LiveService
	if v.tableErr == nil {
		loaded := false
		live, loaded = v.table.Find(serviceKey(s, listen))
		out.Loaded = &loaded
		if loaded {
			out.Scheduler = live.Scheduler
			out.Stats = stats(live.Stats)
		}
	}
	for _, f := range v.applied.Table.Failed {
		if f.Op.Service.Key == serviceKey(s, listen) && !f.Op.Kind.OnDest() {
			out.Error = f.Error()
		}
	}
	pool := v.pools[serviceKey(s, listen)]
	out.Pool = control.PoolStatus{
		State: string(cmp.Or(pool.State, PoolUndecided)), Quorum: s.Pool.Quorum, Up: hundredths(pool.Up), All: hundredths(pool.All),
	}
	for i, real := range s.Real {
		r := v.real(s, real, listen, live)
		if i < len(pool.Seats) {
			r.Rising = pool.Seats[i].Full
		}
		r.Overrides = v.overrides.of(s.Name, real)
		out.Real = append(out.Real, r)
	}
	if sorry := s.Pool.Sorry; sorry != nil {
		unchecked := s
		unchecked.Checks = nil
		r := v.real(unchecked, *sorry, listen, live)
		out.Sorry = &r
	}
	out.Leaving = v.leavingOf(serviceKey(s, listen))
	return out
}

// listenText is what a listener is called: the mark where the service has one.
func listenText(s config.Service, listen netip.AddrPort) string {
	if s.FWMark == 0 {
		return listen.String()
	}
	ranges := s.MarkedAt(listen)
	words := make([]string, len(ranges))
	for i, r := range ranges {
		words[i] = r.String()
	}
	return fmt.Sprintf("fwmark %d: %s", s.FWMark, listed(words))
}

// leavingOf are the servers that leave a service, with their connections.
func (v *view) leavingOf(key ipvsctl.ServiceKey) []control.LeavingStatus {
	var out []control.LeavingStatus
	live, _ := v.table.Find(key)
	for _, p := range v.leaving {
		if p.Service.Key != key {
			continue
		}
		l := control.LeavingStatus{Address: netip.AddrPortFrom(p.Dest.Key.Address, p.Dest.Key.Port), Since: p.Since, Until: p.Until}
		for _, dest := range live.Dests {
			if dest.Key == p.Dest.Key {
				l.Active, l.Inactive = dest.ActiveConns, dest.InactiveConns
			}
		}
		out = append(out, l)
	}
	return out
}

// removed are the services that the configuration no longer has.
func (v *view) removed() []control.RemovedStatus {
	configured := make(map[ipvsctl.ServiceKey]bool)
	for _, s := range v.config.Services {
		for _, key := range serviceKeys(s) {
			configured[key] = true
		}
	}
	var out []control.RemovedStatus
	for _, p := range v.leaving {
		if key := p.Service.Key; !configured[key] {
			configured[key] = true
			out = append(out, control.RemovedStatus{Service: key.String(), Leaving: v.leavingOf(key)})
		}
	}
	return out
}

// hundredths is a sum of weights as a person reads it.
func hundredths(n uint64) float64 { return float64(n) / 100 }

func (v *view) real(s config.Service, real config.Real, listen netip.AddrPort, live ipvsctl.LiveService) control.RealStatus {
	key := destKey(real, listen)
	out := control.RealStatus{
		Address: netip.AddrPortFrom(key.Address, key.Port), Configured: real.Weight, Health: "unchecked",
	}
	v.judged(&out, s, v.probes.of(s, real, listen))
	for _, dest := range live.Dests {
		if dest.Key == key {
			out.Weight = &dest.Weight
			out.Active, out.Inactive = dest.ActiveConns, dest.InactiveConns
			out.Stats = stats(dest.Stats)
		}
	}
	for _, f := range v.applied.Table.Failed {
		if f.Op.Service.Key == serviceKey(s, listen) && f.Op.Kind.OnDest() && f.Op.Dest.Key == key {
			out.Error = f.Error()
		}
	}
	return out
}

// fightShown is how many removals of an address within a minute are a problem.
const fightShown = 3

// conflictTime is for how long an ARP packet counts in which another station
// claimed an address of a master.
const conflictTime = 10 * time.Second

func stats(s ipvsctl.Stats) *control.Stats {
	return &control.Stats{
		Connections: s.Conns, InPackets: s.InPackets, OutPackets: s.OutPackets, InBytes: s.InBytes, OutBytes: s.OutBytes,
	}
}

// problems lists what is not as it should be.
func (v *view) problems(s *control.Status) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, p := range s.Processes {
		if p.PID == 0 {
			say("the %s is not running (last exit: %s)", p.Role, p.LastExit)
		}
	}
	if v.journalProblem != "" {
		say("the journal of events is kept in memory alone: %s", v.journalProblem)
	}
	if v.webProblem != "" {
		say("%s", v.webProblem)
	}
	if v.maintenanceProblem != "" {
		say("whether this node is in maintenance is not known: %s", v.maintenanceProblem)
	}
	for _, r := range s.Routers {
		v.routerProblems(say, r)
	}
	v.trackingProblems(say, s)
	for _, service := range s.Services {
		holds := v.roles[service.Router].Holds()
		what := fmt.Sprintf("service %q at %s", service.Name, service.Listen)
		if service.Error != "" {
			say("%s: %s", what, service.Error)
		} else if service.Loaded != nil && !*service.Loaded && holds {
			say("%s is not in the kernel", what)
		}
		able := 0
		for _, real := range service.Real {
			if real.Error != "" {
				say("%s: %s", what, real.Error)
			}
			if (real.Health == "up" || real.Health == "unchecked") && !takenOut(real) {
				able++
			}
			if real.Health == "down" && !takenOut(real) {
				say("%s: real server %s is down: %s", what, real.Address, real.Reason)
			}
			if real.Warning {
				say("%s: real server %s: %s", what, real.Address, strings.TrimSuffix(real.Reason+", "+real.Detail, ", "))
			}
			if real.Stale {
				say("%s: nothing new is known of real server %s", what, real.Address)
			}
		}
		poolProblem(say, what, service)
		if able == 0 {
			say("%s has no real server", what)
		}
	}
	syncProblems(say, s.Sync)
	v.peerProblems(say, s.Directors)
	if v.reload != nil && !v.reload.Applied {
		say("the last reload was refused: %s", v.reload.Errors[0])
	}
	if v.applied.MarkErr != nil {
		say("firewall marks: %v", v.applied.MarkErr)
	}
	if v.applied.TableErr != nil {
		say("IPVS table: %v", v.applied.TableErr)
	}
	if v.applied.TimeoutErr != nil {
		say("timeouts of connections: %v", v.applied.TimeoutErr)
	}
	if err := errors.Join(v.applied.RoutingErr, v.applied.Routing.Err()); err != nil {
		say("routes and rules: %v", err)
	}
	if v.applied.AddressErr != nil {
		say("addresses: %v", v.applied.AddressErr)
	}
	return out
}

// takenOut reports whether an operator keeps new connections from a server.
func takenOut(r control.RealStatus) bool {
	return slices.ContainsFunc(r.Overrides, func(o control.Override) bool { return o.What != control.OverrideWeight })
}

func poolProblem(say func(string, ...any), what string, s control.ServiceStatus) {
	pool := s.Pool
	weights := fmt.Sprintf("weight %v of %v is up", pool.Up, pool.All)
	switch PoolState(pool.State) {
	case PoolBelow:
		say("%s is below its quorum: %s, %d is needed", what, weights, pool.Quorum)
	case PoolSorry:
		say("%s is below its quorum: %s, %d is needed; the sorry server %s takes its connections", what, weights, pool.Quorum, s.Sorry.Address)
	case PoolPanic:
		say("%s: %s: too little to believe the checks, so nobody is taken out", what, weights)
	}
}

func (v *view) routerProblems(say func(string, ...any), r control.RouterStatus) {
	if r.Problem != "" {
		say("virtual router %q: %s", r.Name, r.Problem)
	}
	if what := virtualMACProblem(r, v.roles[r.Name].Yielding); what != "" {
		say("virtual router %q: %s", r.Name, what)
	}
	if second := r.SplitBrain; second != nil {
		say("virtual router %q: split brain: %s is master too, by %s (since %s)", r.Name, second.With, second.Evidence, second.Since.Format(time.RFC3339))
	}
	holds := r.State == vrrp.Master.String() || r.State == vrrp.Leaving.String()
	for _, a := range r.Addresses {
		switch {
		case a.Error != "":
			say("virtual router %q: %s", r.Name, a.Error)
		case a.Present == nil:
		case holds && !*a.Present:
			say("virtual router %q is %s, but %s is not on %s", r.Name, r.State, a.Address, a.Interface)
		case !holds && *a.Present && v.roles[r.Name].Yielding:
		case !holds && *a.Present && r.State != "unknown":
			say("virtual router %q is %s, but %s is on %s", r.Name, r.State, a.Address, a.Interface)
		}
	}
	for _, a := range r.Addresses {
		if a.PutBack >= fightShown {
			say("virtual router %q: another program keeps removing %s from %s (put back %d times within a minute)", r.Name, a.Address, a.Interface, a.PutBack)
		}
		if a.Claimed != nil && r.SplitBrain == nil && r.State == vrrp.Master.String() && a.Claimed.Duration() < min(conflictTime, v.now.Sub(r.Since)-yieldBound) {
			say("virtual router %q: %s is claimed by %s too (%s ago)", r.Name, a.Address, a.ClaimedBy, a.Claimed.Duration().Round(time.Millisecond))
		}
	}
	if p := r.Peer; p != nil && r.SplitBrain == nil && r.State == vrrp.Master.String() && p.Priority > 0 && p.Age < 3*p.Interval &&
		v.now.Sub(r.Since) > 3*p.Interval.Duration() {
		say("virtual router %q: %s is master too (heard %.0f ms ago)", r.Name, p.Address, float64(p.Age))
	}
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
