package vrrpbench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/lab"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// pair is a lab whose two directors run one of the two programs, under a client
// that sends a request each millisecond.
type pair struct {
	*testing.B
	*lab.Cluster
	ctx        context.Context
	nodes      [2]*lab.Node
	keepalived string // the program; empty: haldir runs
	programs   [2]*program
	client     *lab.ClientRun
}

// newPair starts a pair; the first node becomes master.
func newPair(b *testing.B, interval time.Duration, preempt bool, haldir, keepalived string) *pair {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	spec := lab.DefaultSpec(lab.ForwardNone)
	spec.Lab.Interval, spec.Lab.Preempt, spec.Client.TCP = lab.Duration(interval), preempt, 0
	cluster, err := lab.New(spec, lab.Options{Haldir: haldir, Agent: []string{self, agentArgument}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			b.Error(err)
		}
	})
	p := &pair{B: b, Cluster: cluster, ctx: b.Context(), keepalived: keepalived, nodes: [2]*lab.Node{cluster.Node("d1"), cluster.Node("d2")}}
	p.must(cluster.StartServers(p.ctx))
	for i := range p.nodes {
		p.start(i)
		if i == 0 {
			p.master(0)
		}
	}
	p.client, err = cluster.StartClient(p.ctx, nil)
	p.must(err)
	p.servedBy(0)
	return p
}

// of says whose figures these are.
func (p *pair) of() string {
	if p.keepalived != "" {
		return "keepalived"
	}
	return "haldir"
}

func (p *pair) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pair) start(i int) {
	p.Helper()
	n := p.nodes[i]
	if p.keepalived == "" {
		p.must(n.StartDirector())
		return
	}
	conf := filepath.Join(n.RunDir(), "keepalived.conf")
	mode := ""
	if !p.Spec.Lab.Preempt {
		mode = "  nopreempt\n"
	}
	text := fmt.Sprintf(`vrrp_instance lab {
  version 3
  state BACKUP
  interface %s
  virtual_router_id 51
  priority %d
  advert_int %v
%s  virtual_ipaddress {
    %s/24 dev %s
  }
}
`, lab.Interface, 254-4*i, p.Spec.Lab.Interval.D().Seconds(), mode, p.Spec.VIP(), lab.Interface)
	p.must(os.WriteFile(conf, []byte(text), 0o644))
	inside := func(f func()) { p.must(n.Do(func() error { f(); return nil })) }
	p.programs[i] = begin(p.B, inside, n.LogPath("keepalived"), keepalivedArguments(p.keepalived, conf)...)
}

func (p *pair) stop(i int) {
	p.Helper()
	if p.keepalived == "" {
		p.must(p.nodes[i].StopDirector(p.ctx))
		return
	}
	p.programs[i].stop()
}

// crash is the sudden end of a machine.
func (p *pair) crash(i int) {
	p.Helper()
	if p.keepalived == "" {
		p.must(p.nodes[i].Crash())
		return
	}
	p.must(p.nodes[i].Cut())
	p.programs[i].kill()
}

// reboot brings it back. A machine that was off has no address; keepalived leaves
// that to whoever boots it.
func (p *pair) reboot(i int) {
	p.Helper()
	n := p.nodes[i]
	if p.keepalived == "" {
		p.must(n.Reboot(p.ctx))
		return
	}
	p.must(n.Do(func() error {
		link, err := netlink.LinkByName(lab.Interface)
		if err != nil {
			return err
		}
		address := net.IPNet{IP: p.Spec.VIP().AsSlice(), Mask: net.CIDRMask(24, 32)}
		// It may have seen that the carrier was gone before it was killed.
		if err := netlink.AddrDel(link, &netlink.Addr{IPNet: &address}); !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
		return nil
	}))
	p.start(i)
	p.must(n.Restore())
}

// master waits until a node's kernel has the address.
func (p *pair) master(i int) {
	p.Helper()
	p.has(i, p.Spec.VIP(), true)
}

func (p *pair) has(i int, address netip.Addr, want bool) {
	p.Helper()
	eventually(p.B, fmt.Sprintf("%s of %s to have the address: %v", p.nodes[i].Name, p.of(), want), func() bool {
		has, err := p.nodes[i].Has(address)
		p.must(err)
		return has == want
	})
}

// servedBy waits until a node alone has answered everything for a while, so that
// the next trouble is one of its own.
func (p *pair) servedBy(i int) {
	p.Helper()
	name, good := p.nodes[i].Name, 0
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var last traffic.Tick
	err := p.client.Until(ctx, "udp", "answers by "+name+" alone", func(t traffic.Tick) bool {
		last = t
		if t.Sent == 0 || t.Answered[name] != t.Sent {
			good = 0
			return false
		}
		good++
		return good == 3
	})
	if err != nil {
		p.Fatalf("%s: %v: of %d requests, answered: %v", p.of(), err, last.Sent, last.Answered)
	}
}

func (p *pair) mark(phase string) {
	p.Helper()
	p.must(p.client.Mark(p.ctx, phase))
}

// account ends the client and returns what became of its requests.
func (p *pair) account() []traffic.Report {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	reports, err := p.client.Stop(ctx)
	p.must(err)
	return reports
}
