package realserver

import (
	"context"
	"slices"
	"strconv"

	"github.com/haldir-lb/haldir/internal/netif"
)

// portFindings are about the ports of GUE.
func (r *Runner) portFindings(ctx context.Context, state State) ([]Finding, error) {
	if len(state.Ports) == 0 {
		return nil, nil
	}
	open, err := r.Kernel.GUEPorts(ctx)
	if err != nil {
		return nil, err
	}
	var all []Finding
	for _, p := range state.Ports {
		f := Finding{Item: "GUE at UDP " + p.At.String(), Want: "received", Got: "received", OK: true, Services: p.Services}
		if !slices.Contains(open, p.At) {
			f.Got, f.OK, f.Remedy = "not received", false, reapply
		}
		all = append(all, f)
	}
	return all, nil
}

// linkFindings are about the interfaces that carry VIPs. A VIP on one that is
// down is not this host's.
func (r *Runner) linkFindings(ctx context.Context, state State) ([]Finding, error) {
	needed := map[string]names{}
	for _, a := range state.Addresses {
		for _, service := range a.Services {
			if needed[a.Interface] == nil {
				needed[a.Interface] = names{}
			}
			needed[a.Interface][service] = true
		}
	}
	var all []Finding
	for _, name := range append([]string{Loopback}, netif.TunnelDevices()...) {
		if needed[name] == nil {
			continue
		}
		link, err := r.Kernel.ReadTunnel(ctx, name)
		if err != nil {
			return nil, err
		}
		f := Finding{Item: "interface " + name, Want: "up", Got: "up", OK: true, Services: needed[name].sorted()}
		if !link.Up {
			f.Got, f.OK, f.Remedy = "down", false, "ip link set "+name+" up"
		}
		if !link.Exists {
			f.Got, f.Remedy = absent, reapply
		}
		all = append(all, f)
		i := slices.IndexFunc(state.Tunnels, func(t TunnelState) bool { return t.Name == name })
		if i >= 0 && link.Exists {
			all = append(all, tunnelFindings(state.Tunnels[i], link)...)
		}
	}
	return all, nil
}

// tunnelFindings are about a device that is there.
func tunnelFindings(want TunnelState, is netif.Tunnel) []Finding {
	finding := func(what, want, got string, services []string) Finding {
		f := Finding{Item: what + " of interface " + is.Name, Want: want, Got: got, OK: want == got, Services: services}
		if !f.OK {
			f.Remedy = reapply
		}
		return f
	}
	var all []Finding
	if want.MTU != 0 {
		all = append(all, finding("MTU", strconv.Itoa(want.MTU), strconv.Itoa(is.MTU), want.Services))
	}
	if is.Name == netif.DeviceIP6 {
		inside := map[uint8]string{0: "IPv4 and IPv6", 4: "IPv4", 41: "IPv6"}
		all = append(all, finding("contents", inside[0], inside[is.Inside], want.Services))
	}
	return all
}
