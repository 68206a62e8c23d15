package doctor

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/haldir-lb/haldir/internal/control"
)

// Directory knows the machines of the cluster by their Ethernet addresses.
type Directory struct {
	names map[string][]string // by MAC
	// ask are addresses of machines whose MAC is not known yet, with their names.
	ask map[netip.Addr]string
}

// NewDirectory gathers what is known of the machines: from the configuration their
// addresses, from the neighbour table their MACs.
func NewDirectory(in Input) *Directory {
	p := newPatient(in)
	d := &Directory{names: map[string][]string{}, ask: map[netip.Addr]string{}}
	for _, l := range p.Host.Links {
		if len(l.MAC) > 0 && !l.Loopback && l.Master == 0 {
			d.Learn(l.MAC, "this host, "+l.Name)
		}
	}
	for _, s := range p.Config.Services {
		for _, real := range servers(s) {
			d.machine(p, real.Address, "real server "+real.Address.String())
		}
	}
	for _, v := range p.Config.VRRP {
		for _, peer := range v.Peers {
			d.machine(p, peer, "director "+peer.String())
		}
	}
	if p.Status != nil {
		for _, r := range p.Status.Routers {
			d.peer(p, r)
		}
	}
	return d
}

func (d *Directory) peer(p *patient, r control.RouterStatus) {
	if r.Peer == nil {
		return
	}
	if addr, err := netip.ParseAddr(r.Peer.Address); err == nil {
		d.machine(p, addr, "director "+addr.String())
	}
}

func (d *Directory) machine(p *patient, addr netip.Addr, name string) {
	if len(p.Host.Has(addr)) > 0 {
		return
	}
	if mac := p.Host.MACOf(addr); mac != nil {
		d.Learn(mac, name)
		return
	}
	d.ask[addr] = name
}

// Ask lists the machines whose MAC is not known, in order: whoever finds it out
// tells Learn.
func (d *Directory) Ask() map[netip.Addr]string { return d.ask }

// Learn notes whose a MAC is.
func (d *Directory) Learn(mac net.HardwareAddr, name string) {
	key := mac.String()
	if !slices.Contains(d.names[key], name) {
		d.names[key] = append(d.names[key], name)
	}
}

// Name says whose a MAC is; empty if nobody's that is known.
func (d *Directory) Name(mac net.HardwareAddr) string {
	names := slices.Clone(d.names[mac.String()])
	if id, ok := virtualRouter(mac); ok {
		names = append(names, fmt.Sprintf("virtual router %d", id))
	}
	return strings.Join(names, ", ")
}

// virtualRouter reads the VRID out of the MAC of a virtual router (RFC 9568,
// section 7.3).
func virtualRouter(mac net.HardwareAddr) (uint8, bool) {
	if len(mac) != 6 || !bytes.HasPrefix(mac, []byte{0x00, 0x00, 0x5e, 0x00}) || mac[4] != 1 && mac[4] != 2 {
		return 0, false
	}
	return mac[5], true
}
