package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// machineKinds are about the machine, and about programs that undo what others set.
var machineKinds = []Kind{
	{"scheduler-late", Warning, "adverts leave late and are judged late: a backup may take over from a master that lives"},
	{"clock-unsynchronised", Note, "times in the logs of the two directors cannot be compared; certificates may be judged by the wrong date"},
	{"networkd-drops", Warning, "when systemd-networkd starts anew, it takes away addresses that are not in its files"},
	{"networkmanager-drops", Warning, "when NetworkManager activates the interface anew, it takes away addresses that are not in its profile"},
	{"tunnel-missing", Fault, "packets of TUN services arrive wrapped, and nothing unwraps them"},
	{"tunnel-mtu", Warning, "clients send segments that do not fit into the tunnel: they are lost where ICMP is filtered, and fragmented or sent twice elsewhere"},
}

func (p *patient) machine() {
	p.time()
	p.managers()
	p.tunnels()
}

func (p *patient) time() {
	if p.Segment == nil {
		return
	}
	shortest := time.Duration(0)
	for _, v := range p.routers {
		if shortest == 0 || v.Interval < shortest {
			shortest = v.Interval
		}
	}
	if late := p.Segment.Late; shortest > 0 && late >= shortest {
		p.found("scheduler-late", fmt.Sprintf("within %s a sleep of 1ms ended %s too late; adverts are due every %s",
			p.Segment.Listened, late.Round(time.Millisecond/10), shortest),
			"find out what holds the processors (a hypervisor, other work), let haldir have real-time priority, or raise interval",
			"this machine runs processes late by more than an interval")
	}
	if c := p.Segment.Clock; c != nil && !c.Synchronised && len(p.routers)+len(p.duties) > 0 {
		p.found("clock-unsynchronised", "the kernel says that its clock is not synchronised (adjtimex: STA_UNSYNC)",
			"run chrony, systemd-timesyncd or another NTP client", "the clock is not synchronised")
	}
}

// keeps are the values of KeepConfiguration= that leave foreign addresses alone.
var keeps = []string{"yes", "true", "1", "on", "static"}

func (p *patient) managers() {
	var names []string
	for _, v := range p.routers {
		if !slices.Contains(names, v.Interface) {
			names = append(names, v.Interface)
		}
	}
	for _, name := range names {
		if keep, managed := p.Host.Managers.Networkd[name]; managed && !slices.Contains(keeps, strings.ToLower(keep)) {
			p.found("networkd-drops", fmt.Sprintf("systemd-networkd has configured %s, with KeepConfiguration=%s", name, keep),
				"KeepConfiguration=static in [Network] of its .network file", "systemd-networkd manages %s, which gets virtual addresses", name)
		}
		if slices.Contains(p.Host.Managers.NetworkManager, name) {
			p.found("networkmanager-drops", "NetworkManager says that it manages "+name,
				fmt.Sprintf("[keyfile] unmanaged-devices=interface-name:%s in NetworkManager.conf", name),
				"NetworkManager manages %s, which gets virtual addresses", name)
		}
	}
}

// tunnelTypes are the interfaces that unwrap packets, as the kernel names them.
var tunnelTypes = []string{"ipip", "ip6tnl", "sit", "gre", "gretap", "ip6gre", "ip6gretap"}

// tunnelOverhead is what the second IPv4 header takes, in bytes.
const tunnelOverhead = 20

func (p *patient) tunnels() {
	wrapped := slices.DeleteFunc(slices.Clone(p.duties), func(d duty) bool { return d.service.Forward != "tun" })
	if len(wrapped) == 0 || p.Host.Links == nil {
		return
	}
	up := ""
	for _, l := range p.Host.Links {
		if l.Up && slices.Contains(tunnelTypes, l.Type) {
			up = l.Name
		}
	}
	if up == "" {
		p.found("tunnel-missing", "no interface of a type that unwraps packets is up",
			"haldir realserver apply", "this real server of TUN service %s has no tunnel", wrapped[0].service.Name)
	}
	for _, d := range wrapped {
		if d.service.Protocol == "tcp" {
			p.tunnelMTU(d)
			break
		}
	}
}

func (p *patient) tunnelMTU(d duty) {
	link, ok := p.Host.Link(d.ifname)
	used := best(p.Host.Routes, d.real.Address)
	if !ok || len(used) == 0 {
		return
	}
	out, ok := p.Host.Link(used[0].Interface)
	if !ok {
		return
	}
	// The largest packet that a client sends follows from the segment size that this
	// host names, which follows from the route by which it replies.
	largest := out.MTU
	if used[0].MTU > 0 {
		largest = min(largest, used[0].MTU)
	}
	if used[0].MSS > 0 {
		largest = min(largest, used[0].MSS+40)
	}
	if largest+tunnelOverhead > link.MTU {
		p.found("tunnel-mtu",
			fmt.Sprintf("by its default route this host lets clients send packets of %d bytes; with the tunnel's header they have %d, and %s takes %d",
				largest, largest+tunnelOverhead, d.ifname, link.MTU),
			fmt.Sprintf("ip route change default %s advmss %d, or a larger MTU between director and real server", hops(used[:1]), link.MTU-tunnelOverhead-40),
			"segments of clients are too large for the tunnel of service %s", d.service.Name)
	}
}
