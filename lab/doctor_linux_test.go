package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
	"github.com/haldir-lb/haldir/lab/guest"
)

// examine runs haldir doctor on a node and returns the kinds of its findings, but
// for those about the machine that the whole lab is on.
func (p *pair) examine(n *Node, args ...string) []string {
	p.t.Helper()
	args = append([]string{"doctor", "-c", p.ConfigPath, "--node", n.Name, "--run-dir", n.RunDir(), "--json"}, args...)
	output, _ := n.Haldir(bound(p.t, patience), args...) // what it found is its status too
	var e struct {
		Findings []struct{ ID, Title, Evidence string }
		Unknown  []struct{ What, Reason string }
	}
	if err := json.Unmarshal([]byte(output), &e); err != nil {
		p.t.Fatalf("doctor on %s: %v: %s", n.Name, err, output)
	}
	for _, u := range e.Unknown {
		if !strings.HasPrefix(u.What, "whether there is a kernel module") {
			p.t.Errorf("doctor on %s: unknown: %s: %s", n.Name, u.What, u.Reason)
		}
	}
	var kinds []string
	for _, f := range e.Findings {
		if f.ID != "clock-unsynchronised" && f.ID != "scheduler-late" {
			p.t.Logf("doctor on %s: %s: %s: %s", n.Name, f.ID, f.Title, f.Evidence)
			kinds = append(kinds, f.ID)
		}
	}
	return kinds
}

func (p *pair) expectFindings(n *Node, want ...string) {
	p.t.Helper()
	if d := cmp.Diff(want, p.examine(n)); d != "" {
		p.t.Errorf("findings on %s (-want +got):\n%s", n.Name, d)
	}
}

func TestTheDoctorFindsNothingInAHealthyPairAndWhatDirectorsTellOtherwise(t *testing.T) {
	if _, inside := guest.Inside(); inside {
		t.Skip("any kernel will do: tested outside of the guest")
	}
	spec := DefaultSpec(ForwardNone)
	const refresh = `refresh = "8s"`
	spec.Lab.Extra = "[vrrp.garp]\n" + refresh + "\n"
	p := newPair(t, spec)
	for _, name := range []string{"d1", "d2", Client} {
		p.expectFindings(p.Node(name))
	}

	// d2 starts with another file, where a switch lets no ARP through to it.
	p.must(p.d2.StopDirector(bound(t, patience)))
	p.must(p.d2.Do(func() error { return dropARP(Interface) }))
	text, err := os.ReadFile(p.ConfigPath)
	p.must(err)
	p.must(os.WriteFile(p.ConfigPath, bytes.Replace(text, []byte(refresh), []byte(`refresh = "9s"`), 1), 0o600))
	p.must(p.d2.StartDirector())
	restarted := p.state(p.d2, "backup").Since
	p.must(Await(bound(t, patience), "the doctor of d1 to find both", func(ctx context.Context) error {
		status, err := p.d1.Status(ctx)
		if err != nil {
			return err
		}
		const told = 5 * time.Second // by which d2 would have said that it heard of it
		if at := status.Routers[0].Addresses[0].Announced; !at.After(restarted) || status.At.Sub(at) < told {
			return errors.New("d1 has not announced the address again")
		}
		if d := cmp.Diff([]string{"config-differs", "announcements-unheard"}, p.examine(p.d1, "--no-probe")); d != "" {
			return fmt.Errorf("findings (-want +got):\n%s", d)
		}
		return nil
	}))
}

// dropARP drops what ARP comes in by an interface, before anybody hears it.
func dropARP(name string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyNetdev, Name: muteTable})
	chain := conn.AddChain(&nftables.Chain{
		Table: table, Name: "ingress", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookIngress,
		Priority: nftables.ChainPriorityFilter, Device: name,
	})
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP)},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}})
	return conn.Flush()
}

func TestTheDoctorAndTheTraceInClustersWithIPVS(t *testing.T) {
	testenv.IPVS(t)
	t.Run("dr", func(t *testing.T) {
		p := newPair(t, forwarded(ForwardDR))
		for _, name := range []string{"d1", "d2", "rs1", "rs2", Client} {
			p.expectFindings(p.Node(name))
		}
		p.traced()
		p.addService(p.d1, netip.MustParseAddrPort("192.0.2.99:80"), netip.MustParseAddrPort("192.0.2.11:8080"))
		// The kernel parameters of IPVS cannot be made wrong here for long: the director
		// puts them right as soon as it looks.
		p.expectFindings(p.d1, "port-mismatch")
	})
	t.Run("tun", func(t *testing.T) {
		// The real server alone: directors and clients take long to start here.
		p := &pair{Cluster: newCluster(t, forwarded(ForwardTUN), Options{Haldir: haldirBinary(t)}), t: t}
		p.must(p.StartServers(bound(t, patience)))
		rs1 := p.Node("rs1")
		p.must(rs1.ns.sysctl([2]string{"net/ipv4/conf/tunl0/rp_filter", "1"}))
		// No director holds the address.
		p.expectFindings(rs1, "rp-filter-tunnel", "vip-unanswered")
	})
}

// addService loads a service with one real server by DR, as somebody else might.
func (p *pair) addService(n *Node, at, to netip.AddrPort) {
	p.t.Helper()
	service := ipvsctl.Service{Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: at.Addr(), Port: at.Port()}, Scheduler: ipvsctl.DefaultScheduler}
	p.must(n.Do(func() error {
		handle, err := ipvsnl.Open()
		if err != nil {
			return err
		}
		defer func() { _ = handle.Close() }()
		return errors.Join(handle.Apply(p.t.Context(), []ipvsctl.Op{
			{Kind: ipvsctl.AddService, Service: service},
			{Kind: ipvsctl.AddDest, Service: service, Dest: ipvsctl.Dest{Key: ipvsctl.DestKey{Address: to.Addr(), Port: to.Port()}, Weight: 1}},
		})...)
	}))
}
