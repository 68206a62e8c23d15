package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// routerName is the [[vrrp]] block of the generated configuration.
const routerName = "lab"

// topPriority is the first director's; the others follow in small steps, so that
// skew is small on all.
const topPriority = 254

func priority(i int) int { return topPriority - 4*i }

// MasterDown is the silence after which the first backup takes over:
// 3 * interval + skew (RFC 9568, section 6.1). It is the floor of the outage that
// the crash of a master causes, if it dies right after an advert.
func (s Spec) MasterDown() time.Duration {
	interval := s.Lab.Interval.D()
	return 3*interval + time.Duration(256-priority(1))*interval/256
}

// RemovalFloor is how long the death of a real server goes unnoticed at most.
func (s Spec) RemovalFloor() time.Duration {
	// The first failing check starts up to one period after the death and each
	// may take as long as its bound, which is the period.
	return time.Duration(s.Lab.CheckFall+1) * s.Lab.CheckEvery.D()
}

// Configuration returns the haldir configuration of the cluster, the same file
// for every node.
func (s Spec) Configuration() string {
	var b strings.Builder
	b.WriteString("[[vrrp]]\n")
	fmt.Fprintf(&b, "name      = %q\ninterface = %q\nrouter_id = 51\n", routerName, Interface)
	var priorities []string
	for i := range s.Lab.Directors {
		priorities = append(priorities, fmt.Sprintf("%s = %d", directorName(i), priority(i)))
	}
	fmt.Fprintf(&b, "priority  = { %s }\n", strings.Join(priorities, ", "))
	fmt.Fprintf(&b, "interval  = %q\npreempt   = %v\n", s.Lab.Interval, s.Lab.Preempt)
	var addresses []string
	for _, f := range s.families() {
		addresses = append(addresses, fmt.Sprintf("%q", within(f.segment, hostVIP)))
		if s.Lab.Forward == ForwardNAT {
			addresses = append(addresses, fmt.Sprintf("%q", within(f.segment, hostInside)))
		}
	}
	if s.Lab.Second != "" {
		addresses = append(addresses, fmt.Sprintf("%q", s.Lab.Second))
	}
	if s.Lab.VMAC {
		b.WriteString("vmac      = true\n")
	}
	fmt.Fprintf(&b, "addresses = [%s]\n", strings.Join(addresses, ", "))
	if s.Lab.Forward != ForwardNone {
		for _, service := range s.Services {
			for _, f := range s.families() {
				s.writeService(&b, service, f)
			}
		}
	}
	if s.Lab.Extra != "" {
		b.WriteString("\n" + strings.TrimSuffix(s.Lab.Extra, "\n") + "\n")
	}
	return b.String()
}

func (s Spec) writeService(b *strings.Builder, service Service, f networks) {
	scheduler := service.Scheduler
	if scheduler == "" {
		scheduler = "rr"
	}
	vip := host(f.segment, hostVIP)
	fmt.Fprintf(b, "\n[[service]]\nname      = %q\nlisten    = [%q]\n",
		traffic.StreamName(service.Name, vip), netip.AddrPortFrom(vip, service.Port))
	fmt.Fprintf(b, "protocol  = %q\nscheduler = %q\nforward   = %q\n", service.Protocol, scheduler, s.Lab.Forward)
	if service.Extra != "" {
		b.WriteString(strings.TrimSuffix(service.Extra, "\n") + "\n")
	}
	fmt.Fprintf(b, "\n[service.check]\ntype    = \"tcp\"\nevery   = %q\ntimeout = %q\nrise    = %d\nfall    = %d\n",
		s.Lab.CheckEvery, s.Lab.CheckEvery, s.Lab.CheckRise, s.Lab.CheckFall)
	if s.Lab.CheckVIP {
		b.WriteString("via     = \"vip\"\n")
	}
	for _, p := range s.layout() {
		if !s.serves(p.kind) {
			continue
		}
		address := p.address(f).Addr().String()
		if service.RealPort != 0 && service.RealPort != service.Port {
			address = netip.AddrPortFrom(p.address(f).Addr(), service.RealPort).String()
		}
		fmt.Fprintf(b, "\n[[service.real]]\naddress = %q\nweight  = 1\n", address)
	}
}
