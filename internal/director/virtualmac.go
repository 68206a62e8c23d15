package director

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/vrrp"
)

// virtualLink returns the link with the MAC address of a virtual router, and false
// for a router without one. The router is one of Config.Routers.
func virtualLink(v config.VRRP) (netif.VirtualLink, bool) {
	if !v.VMAC || len(v.Addresses) == 0 {
		return netif.VirtualLink{}, false
	}
	return netif.NewVirtualLink(v.Interface, v.RouterID, v.Addresses[0].Addr().Is6()), true
}

// device is the interface that has an address of a router. The link with the virtual
// MAC address is of one family.
func device(v config.VRRP, a netip.Addr) string {
	if link, any := virtualLink(v); any && a.Is6() == link.IPv6 {
		return link.Name
	}
	return v.Interface
}

// addLink adds the link of a router in which this node takes part, which is up while
// the router holds its addresses. A router that hands over and the one that follows
// it after a reload may have the same.
func (d *Desired) addLink(v config.VRRP, role Role) {
	link, any := virtualLink(v)
	if !any || v.Priority == 0 || role.Reason == vrrp.ReasonShutdown && !role.Holds() {
		return
	}
	link.Up, link.Muted = role.Holds(), !role.Muted.IsZero()
	if i := slices.IndexFunc(d.Links, func(l netif.VirtualLink) bool { return l.Name == link.Name }); i >= 0 {
		if link.Up {
			d.Links[i] = link
		}
		return
	}
	d.Links = append(d.Links, link)
}

// virtualSysctls are what the interfaces below links have to be like.
func virtualSysctls(cfg *config.Config) []netif.Sysctl {
	var out []netif.Sysctl
	for _, v := range cfg.Routers() {
		if link, any := virtualLink(v); any && !link.IPv6 && v.Priority != 0 {
			for _, s := range netif.VirtualParentSysctls(v.Interface) {
				if !slices.Contains(out, s) {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// muteLinger is how long a node receives for a virtual MAC address that the new
// master has announced. What it said meanwhile may have drawn the switches back; it is
// there for what they send until the new master's next announcement, which comes
// within that time.
const muteLinger = 200 * time.Millisecond

// moves reports whether the MAC address of a router's addresses moves along.
func (d *Director) moves(router string) bool {
	for _, l := range d.retired {
		if l.router.Name == router && d.roles[router].Holds() {
			return l.router.VMAC
		}
	}
	v := d.index().router(router)
	return v != nil && v.VMAC
}

// mute has the links of routers fall silent whose addresses the new master has
// announced.
func (d *Director) mute(now time.Time) {
	changed := false
	for name, role := range d.roles {
		if (role.State == vrrp.Leaving || role.Yielding) && role.Muted.IsZero() && d.moves(name) && d.announcedByOther(name, role) {
			role.Muted = now
			d.roles[name] = role
			changed = true
		}
	}
	if changed {
		d.update()
	}
}

// lingers reports whether a router that has given way goes on receiving for its MAC
// address.
func (d *Director) lingers(router string, before Role) bool {
	return d.moves(router) && (before.Muted.IsZero() || time.Since(before.Muted) < muteLinger)
}

// nextMuted is when the first muted router lets go, and false for never.
func (d *Director) nextMuted() (at time.Time, any bool) {
	for _, role := range d.roles {
		if end := role.Muted.Add(muteLinger); role.Yielding && !role.Muted.IsZero() && (!any || end.Before(at)) {
			at, any = end, true
		}
	}
	return at, any
}

// setLinks has the links made as desired but for those that are to come up. Where
// there are none, and were none, the kernel is not asked.
func (a *applier) setLinks(ctx context.Context, w work, out *Applied) {
	if len(w.desired.Links) == 0 && !a.linked {
		return
	}
	result, err := a.host.PrepareLinks(ctx, w.desired.Links)
	out.Links, out.LinkErr = result, err
	a.linked = len(w.desired.Links) > 0 || out.LinkErr != nil || len(result.Failed) > 0
}

// raiseLinks brings them up, when all that is to be answered for is there.
func (a *applier) raiseLinks(ctx context.Context, w work, out *Applied) {
	if len(w.desired.Links) == 0 || out.LinkErr != nil {
		return
	}
	result, err := a.host.RaiseLinks(ctx, w.desired.Links)
	out.Links.Changed = append(out.Links.Changed, result.Changed...)
	out.Links.Failed = append(out.Links.Failed, result.Failed...)
	out.LinkErr = err
}

// takeLinksAway removes every link of ours.
func takeLinksAway(ctx context.Context, host interface {
	PrepareLinks(context.Context, []netif.VirtualLink) (netif.VirtualLinkResult, error)
}) ([]string, error) {
	result, err := host.PrepareLinks(ctx, nil)
	if err = errors.Join(err, result.Err()); err != nil {
		return result.Changed, fmt.Errorf("taking away virtual interfaces that were left: %w", err)
	}
	return result.Changed, nil
}

// virtualMAC says what the kernel has of a router's link.
func (v *view) virtualMAC(r config.VRRP) *control.VirtualMAC {
	link, any := virtualLink(r)
	if !any {
		return nil
	}
	out := &control.VirtualMAC{Interface: link.Name}
	for _, f := range v.applied.Links.Failed {
		if f.Name == link.Name {
			out.Error = f.Error()
		}
	}
	if v.linksErr != nil {
		return out
	}
	up := false
	for _, l := range v.links {
		if l.Name == link.Name && l.Virtual {
			up, out.MAC = l.Up, l.MAC.String()
		}
	}
	out.Up = &up
	if want := net.HardwareAddr(link.MAC[:]).String(); out.MAC != "" && out.MAC != want && out.Error == "" {
		out.Error = fmt.Sprintf("virtual interface %s has the MAC address %s, not %s", link.Name, out.MAC, want)
	}
	return out
}

// virtualMACProblem says what is wrong with the link of a router; empty if nothing
// is.
func virtualMACProblem(r control.RouterStatus, yielding bool) string {
	m := r.VirtualMAC
	holds := r.State == vrrp.Master.String() || r.State == vrrp.Leaving.String() || yielding
	switch {
	case m == nil:
		return ""
	case m.Error != "":
		return m.Error
	case m.Up == nil || r.State == "unknown":
		return ""
	case m.MAC == "":
		return fmt.Sprintf("virtual interface %s is not there", m.Interface)
	case holds && !*m.Up:
		return fmt.Sprintf("it is %s, but virtual interface %s is down", r.State, m.Interface)
	case !holds && *m.Up:
		return fmt.Sprintf("it is %s, but virtual interface %s is up and answers", r.State, m.Interface)
	}
	return ""
}
