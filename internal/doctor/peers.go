package doctor

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// peerKinds are about what the directors tell one another.
var peerKinds = []Kind{
	{"config-differs", Fault, "after a failover the other services, addresses or timers are in force"},
	{"announcements-unheard", Warning, "the switch or something else keeps gratuitous ARP from the segment: after a failover clients go on sending to the old master"},
}

func (p *patient) peers() {
	if p.Status == nil {
		return
	}
	for _, d := range p.Status.Directors {
		if d.Silent {
			continue
		}
		if !d.SameConfig {
			p.found("config-differs", fmt.Sprintf("the digest of %s is %.12s, and this node's is %.12s", d.Node, d.Digest, p.Status.Config.Digest),
				fmt.Sprintf("copy the right %s to the other node, then haldir reload there", cmp.Or(p.Status.Config.Path, "file")), "the configuration of %s differs from this node's", d.Node)
		}
		if !d.Partial {
			p.unheard(d)
		}
	}
}

// grace is how long an announcement may take to be told back by the peer.
const grace = 5 * time.Second

// unheard compares what this node announced with what the other director heard.
func (p *patient) unheard(d control.DirectorStatus) {
	for _, r := range p.Status.Routers {
		link, ok := p.Host.Link(r.Interface)
		if r.State != "master" || !ok || r.Interface != d.Interface {
			continue
		}
		for _, a := range r.Addresses {
			announced := p.Status.At.Sub(a.Announced)
			vip, _, _ := strings.Cut(a.Address, "/")
			heard := slices.ContainsFunc(d.Heard, func(e control.AnnouncementEar) bool {
				mac, err := net.ParseMAC(e.MAC)
				id, virtual := virtualRouter(mac)
				return e.Address == vip && err == nil && (mac.String() == link.MAC.String() || virtual && id == r.VRID)
			})
			if a.Announced.IsZero() || announced < grace || heard {
				continue
			}
			p.found("announcements-unheard", fmt.Sprintf("%s was announced at %s %s ago, and %s heard nothing of it",
				vip, link.MAC, announced.Round(time.Second), d.Node),
				"look for dynamic ARP inspection, port security or a filter of gratuitous ARP in the switches",
				"%s does not hear this node's announcements of %s", d.Node, vip)
		}
	}
}
