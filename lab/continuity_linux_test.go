package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// downloads is how many long connections a story has in each family.
const downloads = 2

// continuous is a lab with downloads beside a little other traffic, in which the
// node that comes back stays backup until the other one dies.
func continuous(forward, service, top string) Spec {
	spec := dual(forward)
	spec.Lab.Preempt = false
	spec.Lab.Extra = top
	spec.Client.UDP, spec.Client.TCP = 30, 1
	stream := Service{Name: "download", Protocol: "tcp", Port: servicePort + 1, Stream: true, Extra: service}
	if forward == ForwardNAT {
		stream.RealPort = mappedPort + 1
	}
	for i := range spec.Services {
		spec.Services[i].Extra = service
	}
	spec.Services = append(spec.Services, stream)
	return spec
}

const connectionSync = "[connection_sync]\ninterface = \"" + Interface + "\"\nid = 51\nrefresh = \"1s\"\n"

func TestDownloadsOutliveDirectorsWithSync(t *testing.T) {
	testenv.IPVS(t)
	for forward, service := range map[string]string{
		ForwardDR: "", ForwardNAT: "", ForwardTUN: "load = \"always\"\n",
	} {
		t.Run(forward, func(t *testing.T) {
			outlive(t, continuous(forward, service, connectionSync), func(p *pair, n *Node) {
				p.learned(n, downloads*len(p.Spec.families()))
				if service != "" {
					p.assigned(n, downloads*len(p.Spec.families()))
				}
			})
		})
	}
}

// TestDownloadsOutliveDirectorsWithoutState: each director finds the real server
// anew, by the client's address. NAT cannot do this.
func TestDownloadsOutliveDirectorsWithoutState(t *testing.T) {
	testenv.IPVS(t)
	for _, forward := range []string{ForwardDR, ForwardTUN} {
		t.Run(forward, func(t *testing.T) {
			spec := continuous(forward, "stateless = true\n", "")
			for i := range spec.Services {
				spec.Services[i].Scheduler = "mh"
			}
			outlive(t, spec, func(*pair, *Node) {})
		})
	}
}

// outlive takes downloads through a planned hand-over and a crash. Ready waits
// until a backup could take over.
func outlive(t *testing.T, spec Spec, ready func(*pair, *Node)) {
	p := newPair(t, spec)
	load, err := p.StartDownloads(bound(t, patience), downloads)
	p.must(err)
	goOn := func() {
		t.Helper()
		if err := load.GoOn(bound(t, patience)); err != nil {
			p.dump()
			t.Fatal(err)
		}
	}
	goOn()
	p.judged(p.d2)
	ready(p, p.d2)

	p.must(p.d1.StopDirector(bound(t, patience)))
	p.state(p.d2, "master")
	goOn()
	p.must(p.d1.StartDirector())
	p.state(p.d1, "backup")
	p.must(p.d2.AwaitPool(bound(t, patience), spec.Lab.RealServers))
	p.judged(p.d1)
	ready(p, p.d1)

	p.must(p.d2.Crash())
	p.state(p.d1, "master")
	goOn()
	goOn()
	for _, d := range load.State() {
		t.Logf("download by %s: %d bytes from %s, longest silence %v", d.Source, d.Bytes, d.Server, d.Silence.Round(time.Millisecond))
	}
}

// learned waits until a director's kernel has so many of the downloads from the
// other one, and knows where they go.
func (p *pair) learned(n *Node, count int) {
	p.t.Helper()
	port := uint16(servicePort + 1)
	p.must(Await(bound(p.t, patience), n.Name+" to learn connections", func(ctx context.Context) error {
		got := 0
		err := n.Do(func() error {
			return ipvsnl.Connections(ctx, func(c ipvsctl.Connection) bool {
				if c.Virtual.Port() == port && c.State == "ESTABLISHED" && (c.Learned || n == p.d1) {
					got++
				}
				return true
			})
		})
		if err == nil && got < count {
			err = fmt.Errorf("it has learned of %d", got)
		}
		return err
	}))
	status, err := n.Status(bound(p.t, patience))
	p.must(err)
	if s := status.Sync; s == nil || s.Connections == nil || s.Connections.Own+s.Connections.Learned < count || s.Listens == nil || !*s.Listens {
		p.t.Errorf("connection sync of %s is %+v, want that it listens and has %d connections", n.Name, s, count)
	}
}

// assigned waits until a director's kernel counts so many connections to the real
// servers of the downloads: those that it learned of before it had the real
// servers are assigned when they are told again.
func (p *pair) assigned(n *Node, count int) {
	p.t.Helper()
	p.must(Await(bound(p.t, patience), "connections on "+n.Name+" to be assigned", func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		active := 0
		for _, s := range status.Services {
			for _, r := range s.Real {
				if strings.HasPrefix(s.Name, "download") {
					active += int(r.Active)
				}
			}
		}
		if active < count {
			return fmt.Errorf("its real servers have %d", active)
		}
		return nil
	}))
}

// judged waits until a director that may have no entries yet has judged all real
// servers to be up.
func (p *pair) judged(n *Node) {
	p.t.Helper()
	p.must(Await(bound(p.t, patience), n.Name+" to judge all real servers", func(ctx context.Context) error {
		status, err := n.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Services {
			for _, r := range s.Real {
				if r.Health != "up" {
					return fmt.Errorf("service %s: %v is %s", s.Name, r.Address, r.Health)
				}
			}
		}
		return nil
	}))
}

// dump prints what the directors' kernels have.
func (p *pair) dump() {
	for _, n := range p.Nodes(KindDirector) {
		for _, file := range []string{"ip_vs", "ip_vs_conn_sync"} {
			_ = n.Do(func() error {
				text, err := os.ReadFile("/proc/thread-self/net/" + file)
				for line := range strings.Lines(string(text)) {
					if file == "ip_vs" || strings.Contains(line, " 1F41 ") || strings.Contains(line, " 2329 ") {
						p.t.Logf("%s %s: %s", n.Name, file, strings.TrimSpace(line))
					}
				}
				return err
			})
		}
	}
}
