package director

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/vrrp"
)

const (
	// yieldBound is how long a router that gave way keeps its addresses for a
	// new master that does not announce them.
	yieldBound = time.Second
	// listenAgainAfter is the pause after listening for claims failed.
	listenAgainAfter = time.Second
	// claimsTogether bounds how many claims are noted before their effect is seen to.
	claimsTogether = 1024
)

// claim is the newest ARP packet in which another station claimed an address.
type claim struct {
	mac net.HardwareAddr
	at  time.Time
}

// yields decides whether a router that no longer has its role keeps the
// addresses for now: it gave way to a master that is alive, and that one has not
// announced them yet. It announces when it has the address and the IPVS entries,
// so whoever lets go then loses no packet. If it has no role for another reason,
// the addresses go first.
func (d *Director) yields(t vrrp.Transition, before Role) bool {
	if !before.Holds() || t.To.Holds() {
		return false
	}
	switch t.Reason {
	case vrrp.ReasonSuccessor, vrrp.ReasonHigherPriority, vrrp.ReasonHigherAddress, vrrp.ReasonSeniority, vrrp.ReasonGroupYielded:
		return !d.announcedByOther(t.Router, before) || d.lingers(t.Router, before)
	case vrrp.ReasonStart:
		// What replaces it after a reload has begun to listen.
		return before.Yielding && (!d.announcedByOther(t.Router, before) || d.lingers(t.Router, before))
	}
	return false
}

// announcedByOther reports whether another station has claimed all addresses of
// a router since it began to give way.
func (d *Director) announcedByOther(router string, role Role) bool {
	since := time.Now()
	if role.State == vrrp.Leaving || role.Yielding {
		since = role.Gave
	}
	for _, prefix := range d.addressesOf(router) {
		if c, ok := d.claims[prefix.Addr()]; !ok || c.at.Before(since) {
			return false
		}
	}
	return true
}

// addressesOf returns the advertised addresses of a router, of one that a reload
// has retired as well.
func (d *Director) addressesOf(router string) []netip.Prefix {
	for _, l := range d.retired {
		if l.router.Name == router && d.roles[router].Holds() {
			return l.router.Addresses
		}
	}
	if v := d.index().router(router); v != nil {
		return v.Addresses
	}
	return nil
}

// claimed takes note of a claim, and of those that came with it, and lets go of
// what waited for them.
func (d *Director) claimed(c arp.Claim) {
	for range claimsTogether {
		d.claims[c.Address] = claim{mac: c.MAC, at: time.Now()}
		d.suspect(c.Address)
		select {
		case c = <-d.heardClaims:
			continue
		default:
		}
		break
	}
	d.mute(time.Now())
	d.letGo(func(name string, role Role) bool { return role.Muted.IsZero() && d.announcedByOther(name, role) })
}

// letGo ends the yielding of the routers for which done returns true.
func (d *Director) letGo(done func(string, Role) bool) {
	changed := false
	for name, role := range d.roles {
		if role.Yielding && done(name, role) {
			role.Yielding = false
			d.roles[name] = role
			changed = true
		}
	}
	if changed {
		d.update()
	}
}

// yielding reports whether any router waits for its successor's announcement.
func (d *Director) yielding() bool {
	for _, role := range d.roles {
		if role.Yielding {
			return true
		}
	}
	return false
}

// listenForClaims listens on every interface of the configuration that is not
// listened on yet.
func (d *Director) listenForClaims() {
	vips := make(map[netip.Addr]bool)
	for _, address := range d.effective().VIPs() {
		vips[address] = true
	}
	d.vips.Store(&vips)
	for _, v := range d.config.VRRP {
		if !d.listening[v.Interface] {
			d.listening[v.Interface] = true
			d.parts.Go(func() { d.listenOn(d.background, v.Interface) })
		}
	}
}

func (d *Director) listenOn(ctx context.Context, ifname string) {
	held := func(a netip.Addr) bool { return (*d.vips.Load())[a] }
	sink := func(c arp.Claim) {
		select {
		case d.heardClaims <- c:
		default: // the next announcement of a burst serves as well
		}
	}
	problem := ""
	for ctx.Err() == nil {
		err := d.Host.Claims(ctx, ifname, held, sink)
		if err == nil {
			continue
		}
		if err.Error() != problem {
			d.Log.Warn("not hearing who claims addresses", "interface", ifname, "error", err)
			problem = err.Error()
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgainAfter):
		}
	}
}
