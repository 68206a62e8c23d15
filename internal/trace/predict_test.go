package trace

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

var equate = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
func addr(text string) netip.Addr   { return netip.MustParseAddr(text) }

const (
	directorMAC = "02:00:00:00:00:02"
	routerMAC   = "02:00:00:00:00:01"
	realMAC     = "02:00:00:00:00:11"
	clientMAC   = "02:00:00:00:00:77"
)

func mac(t *testing.T, text string) net.HardwareAddr {
	t.Helper()
	m, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// master is the director 192.0.2.2 with the address, and one real server.
func master(t *testing.T, forward ipvsctl.Forward, port uint16) Input {
	t.Helper()
	held := func(prefix string) facts.Address {
		return facts.Address{PresentAddress: netif.PresentAddress{Address: netif.Address{Interface: "eth0", Prefix: netip.MustParsePrefix(prefix)}}}
	}
	host := &facts.Host{
		Links:     []netif.Link{{Name: "lo", Loopback: true, Up: true}, {Name: "eth0", Up: true, MAC: mac(t, directorMAC)}},
		Addresses: []facts.Address{held("192.0.2.2/24"), held("192.0.2.100/24")},
		Ways: map[netip.Addr]netif.Route{
			addr("198.51.100.7"): {Gateway: addr("192.0.2.1"), Interface: "eth0"},
			addr("192.0.2.77"):   {Interface: "eth0"},
			addr("192.0.2.11"):   {Interface: "eth0", Source: addr("192.0.2.2")},
			addr("192.0.2.12"):   {Interface: "eth0", Source: addr("192.0.2.2")},
		},
		Neighbours: []facts.Neighbour{
			{Interface: "eth0", Address: addr("192.0.2.1"), MAC: mac(t, routerMAC)}, {Interface: "eth0", Address: addr("192.0.2.11"), MAC: mac(t, realMAC)},
			{Interface: "eth0", Address: addr("192.0.2.77"), MAC: mac(t, clientMAC)},
		},
		Table: ipvsctl.LiveTable{{
			Service: ipvsctl.Service{Key: ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: addr("192.0.2.100"), Port: 80}, Scheduler: "wlc"},
			Dests:   []ipvsctl.LiveDest{dest("192.0.2.11", port, forward, 1)},
		}},
	}
	cfg := &config.Config{Services: []config.Service{{
		Name: "web", Protocol: "tcp", Scheduler: "wlc", Forward: forward.String(), Listen: []netip.AddrPort{at("192.0.2.100:80")},
		Real: []config.Real{{Address: addr("192.0.2.11")}},
	}}}
	in := Input{Input: doctor.Input{Host: host, Config: cfg}, Client: at("198.51.100.7:40000"), Target: at("192.0.2.100:80"), Protocol: ipvsctl.TCP}
	in.Directory = doctor.NewDirectory(in.Input)
	return in
}

func dest(address string, port uint16, forward ipvsctl.Forward, weight uint32) ipvsctl.LiveDest {
	return ipvsctl.LiveDest{Dest: ipvsctl.Dest{Key: ipvsctl.DestKey{Address: addr(address), Port: port}, Forward: forward, Weight: weight}}
}

func TestHops(t *testing.T) {
	const client, vip, inside = "198.51.100.7:40000", "192.0.2.100:80", "192.0.2.11:8080"
	arrival := Hop{From: "router 192.0.2.1", To: "director this host", SourceMAC: routerMAC, DestinationMAC: directorMAC, Source: at(client), Destination: at(vip)}
	tests := []struct {
		name    string
		forward ipvsctl.Forward
		port    uint16
		want    []Hop
		reply   string
		need    string // one of them
	}{
		{"dr", ipvsctl.DR, 80, []Hop{
			arrival,
			{From: "director this host", To: "real server 192.0.2.11", SourceMAC: directorMAC, DestinationMAC: realMAC, Source: at(client), Destination: at(vip)},
			{From: "real server 192.0.2.11", To: "its own router", SourceMAC: realMAC, Source: at(vip), Destination: at(client)},
		}, "directly from the real server to the client, with 192.0.2.100:80 as its source; the director does not see it", "192.0.2.100/32 on lo, or its kernel drops the packet"},
		{"tun", ipvsctl.TUN, 80, []Hop{
			arrival,
			{From: "director this host", To: "real server 192.0.2.11", SourceMAC: directorMAC, DestinationMAC: realMAC, Source: at(client), Destination: at(vip),
				Outer: &Outer{addr("192.0.2.2"), addr("192.0.2.11")}},
			{From: "real server 192.0.2.11", To: "its own next hop to the client", Source: at(vip), Destination: at(client)},
		}, "directly from the real server to the client, with 192.0.2.100:80 as its source; the director does not see it", "a tunnel of type ipip that is up, with 192.0.2.100/32 on it"},
		{"nat", ipvsctl.NAT, 8080, []Hop{
			arrival,
			{From: "director this host", To: "real server 192.0.2.11", SourceMAC: directorMAC, DestinationMAC: realMAC, Source: at(client), Destination: at(inside)},
			{From: "real server 192.0.2.11", To: "director this host", SourceMAC: realMAC, DestinationMAC: directorMAC, Source: at(inside), Destination: at(client)},
			{From: "director this host", To: "router 192.0.2.1", SourceMAC: directorMAC, DestinationMAC: routerMAC, Source: at(vip), Destination: at(client)},
		}, "through the director, which gives it 192.0.2.100:80 as its source", "a server that listens on 192.0.2.11:8080"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := Predict(master(t, tt.forward, tt.port))
			if d := cmp.Diff(tt.want, j.Hops, equate); d != "" {
				t.Errorf("hops (-want +got):\n%s", d)
			}
			if j.Reply != tt.reply || j.Ends != "" || !strings.Contains(strings.Join(j.Needs, "\n"), tt.need) {
				t.Errorf("reply %q, ends %q, needs %q", j.Reply, j.Ends, j.Needs)
			}
			want := &Service{"web", "tcp 192.0.2.100:80", "wlc", "the kernel"}
			if d := cmp.Diff(want, j.Service); d != "" {
				t.Errorf("service (-want +got):\n%s", d)
			}
		})
	}
}

func TestAClientOfTheSegmentIsAnsweredDirectly(t *testing.T) {
	in := master(t, ipvsctl.DR, 80)
	in.Client = at("192.0.2.77:40000")
	j := Predict(in)
	first, last := j.Hops[0], j.Hops[len(j.Hops)-1]
	if first.From != "client 192.0.2.77" || first.SourceMAC != clientMAC || last.To != "client 192.0.2.77" || last.DestinationMAC != clientMAC {
		t.Errorf("first hop %+v, last hop %+v, want the client at both ends", first, last)
	}
}

func TestRedirectNeedsNoAddress(t *testing.T) {
	in := master(t, ipvsctl.DR, 80)
	in.Config.Services[0].Redirect = true
	needs := strings.Join(Predict(in).Needs, "\n")
	if strings.Contains(needs, "on lo") || !strings.Contains(needs, "redirects 192.0.2.100:80") {
		t.Errorf("needs:\n%s", needs)
	}
}

func TestJourneysThatEnd(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Input)
		want   string
	}{
		{"nobody has the address", func(in *Input) { in.Host.Addresses = in.Host.Addresses[:1] }, "nobody that this host can ask has 192.0.2.100"},
		{"no service", func(in *Input) { in.Target = at("192.0.2.100:81") }, "IPVS has no service for tcp 192.0.2.100:81"},
		{"another protocol", func(in *Input) { in.Protocol = ipvsctl.UDP }, "IPVS has no service for udp 192.0.2.100:80"},
		{"no real server", func(in *Input) { in.Host.Table[0].Dests = nil }, "nobody takes it: no real server takes new connections"},
		{"weight 0", func(in *Input) { in.Host.Table[0].Dests[0].Weight = 0 }, "nobody takes it: no real server takes new connections"},
		{"no route", func(in *Input) { delete(in.Host.Ways, addr("192.0.2.11")) }, "there is no route to real server 192.0.2.11"},
		{"DR across a router", func(in *Input) {
			in.Host.Ways[addr("192.0.2.11")] = netif.Route{Gateway: addr("192.0.2.1"), Interface: "eth0"}
		}, "real server 192.0.2.11 is behind router 192.0.2.1"},
		{"its real server is gone", func(in *Input) {
			in.Connections = []ipvsctl.Connection{{Protocol: ipvsctl.TCP, Client: in.Client, Virtual: in.Target, Dest: at("192.0.2.99:80")}}
		}, "192.0.2.99:80 is no longer a real server of the service"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := master(t, ipvsctl.DR, 80)
			tt.change(&in)
			if j := Predict(in); !strings.HasPrefix(j.Ends, tt.want) || j.Reply != "" || len(j.Needs) > 0 {
				t.Errorf("ends %q, reply %q, needs %q, want %q and nothing more", j.Ends, j.Reply, j.Needs, tt.want)
			}
		})
	}
}

func TestAnotherHostKnowsTheDirectorAndNotTheChoice(t *testing.T) {
	in := master(t, ipvsctl.DR, 80)
	in.Host.Addresses, in.Host.Table = in.Host.Addresses[:1], nil
	in.Directory.Learn(mac(t, "02:00:00:00:00:03"), "director 192.0.2.3")
	in.Segment = &facts.Segment{Owners: map[facts.Question][]arp.Answer{
		{Interface: "eth0", Address: addr("192.0.2.100")}: {{MAC: mac(t, "02:00:00:00:00:03")}, {MAC: mac(t, realMAC)}},
	}}
	j := Predict(in)
	if j.Here || j.Director != "director 192.0.2.3" || j.Choice != nil || j.Service == nil || j.Service.From != "the configuration" {
		t.Errorf("journey %+v", j)
	}
	unknown := strings.Join(j.Unknown, "\n")
	if !strings.Contains(unknown, "more than one answers for 192.0.2.100") || !strings.Contains(unknown, "run haldir trace there") {
		t.Errorf("unknown:\n%s", unknown)
	}
}

func TestChoice(t *testing.T) {
	client, target := at("198.51.100.7:40000"), at("192.0.2.100:80")
	entry := func(from, to string) ipvsctl.Connection {
		return ipvsctl.Connection{Protocol: ipvsctl.TCP, Client: at(from), Virtual: target, Dest: at(to), State: "ESTABLISHED", Expires: 90 * time.Second}
	}
	load := func(d ipvsctl.LiveDest, active, inactive uint32) ipvsctl.LiveDest {
		d.ActiveConns, d.InactiveConns = active, inactive
		return d
	}
	one := func(active, inactive uint32) ipvsctl.LiveDest {
		return load(dest("192.0.2.11", 80, ipvsctl.DR, 1), active, inactive)
	}
	two := func(active, inactive uint32) ipvsctl.LiveDest {
		return load(dest("192.0.2.12", 80, ipvsctl.DR, 2), active, inactive)
	}
	persistent := func(s *ipvsctl.LiveService) { s.Persistence, s.PersistencePrefix = time.Minute, 24 }
	nothing := func(*ipvsctl.LiveService) {}
	tests := []struct {
		name        string
		scheduler   string
		dests       []ipvsctl.LiveDest
		connections []ipvsctl.Connection
		change      func(*ipvsctl.LiveService)
		real        string // empty: not known
		by, why     string
	}{
		{"a connection", "rr", []ipvsctl.LiveDest{one(0, 0), two(0, 0)}, []ipvsctl.Connection{entry("198.51.100.7:40000", "192.0.2.12:80")}, nothing,
			"192.0.2.12:80", "connection", "the connection is in the table: ESTABLISHED, 1m30s left"},
		{"another connection of the client", "rr", []ipvsctl.LiveDest{one(0, 0)}, []ipvsctl.Connection{entry("198.51.100.7:40001", "192.0.2.12:80")}, nothing,
			"192.0.2.11:80", "scheduler", "it is the only one that takes new connections"},
		{"a template of the client's network", "rr", []ipvsctl.LiveDest{one(0, 0), two(0, 0)}, []ipvsctl.Connection{entry("198.51.100.0:0", "192.0.2.12:80")}, persistent,
			"192.0.2.12:80", "template", "persistence: the client was sent there before, 1m30s left"},
		{"a template of another network", "wlc", []ipvsctl.LiveDest{one(0, 0), two(9, 0)}, []ipvsctl.Connection{entry("198.51.101.0:0", "192.0.2.12:80")}, persistent,
			"192.0.2.11:80", "scheduler", "wlc: it has the least load (0 active, 0 inactive connections, weight 1)"},
		{"a template without persistence", "wlc", []ipvsctl.LiveDest{one(0, 0), two(9, 0)}, []ipvsctl.Connection{entry("198.51.100.0:0", "192.0.2.12:80")}, nothing,
			"192.0.2.11:80", "scheduler", "wlc: it has the least load"},
		{"wlc by weight", "wlc", []ipvsctl.LiveDest{one(2, 0), two(3, 0)}, nil, nothing, "192.0.2.12:80", "scheduler", "wlc: it has the least load (3 active"},
		{"wlc counts active ones 256 times", "wlc", []ipvsctl.LiveDest{one(1, 0), two(0, 511)}, nil, nothing, "192.0.2.12:80", "scheduler", "wlc: it has the least load"},
		{"lc without weight", "lc", []ipvsctl.LiveDest{one(2, 0), two(3, 0)}, nil, nothing, "192.0.2.11:80", "scheduler", "lc: it has the least load"},
		{"sed", "sed", []ipvsctl.LiveDest{one(0, 0), two(0, 0)}, nil, nothing, "192.0.2.12:80", "scheduler", "sed: it has the least load"},
		{"nq takes an idle one", "nq", []ipvsctl.LiveDest{one(0, 0), two(1, 0)}, nil, nothing, "192.0.2.11:80", "scheduler", "nq: it has the least load"},
		{"equals", "wlc", []ipvsctl.LiveDest{one(1, 0), two(2, 0)}, nil, nothing, "", "scheduler", "wlc: 2 candidates are equal"},
		{"rr", "rr", []ipvsctl.LiveDest{one(1, 0), two(2, 0)}, nil, nothing, "", "scheduler", "rr goes on from where it was last, which the kernel does not tell"},
		{"a hash", "mh", []ipvsctl.LiveDest{one(1, 0), two(2, 0)}, nil, nothing, "", "scheduler", "mh chooses by the client's address, always the same"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := ipvsctl.LiveService{Service: ipvsctl.Service{Scheduler: tt.scheduler}, Dests: tt.dests}
			tt.change(&s)
			in := Input{Input: doctor.Input{Host: &facts.Host{}}, Client: client, Target: target, Protocol: ipvsctl.TCP, Connections: tt.connections}
			got := choose(in, s)
			want := netip.AddrPort{}
			if tt.real != "" {
				want = at(tt.real)
			}
			if got.Real != want || got.By != tt.by || !strings.HasPrefix(got.Why, tt.why) {
				t.Errorf("choice = %s by %s: %s; want %s by %s: %s", got.Real, got.By, got.Why, want, tt.by, tt.why)
			}
		})
	}
}

func TestCandidatesThatAreOut(t *testing.T) {
	full := dest("192.0.2.12", 80, ipvsctl.DR, 1)
	full.Upper, full.ActiveConns = 10, 10
	got := candidatesOf(ipvsctl.LiveService{Dests: []ipvsctl.LiveDest{dest("192.0.2.11", 80, ipvsctl.DR, 0), full, dest("192.0.2.13", 80, ipvsctl.DR, 1)}})
	if got[0].Out != "weight 0" || got[1].Out != "it has its limit of 10 connections" || got[2].Out != "" {
		t.Errorf("candidates = %+v", got)
	}
}

// The kernel passes over a template whose server has weight 0 if it is told to.
func TestATemplateOfAQuiescentServer(t *testing.T) {
	s := ipvsctl.LiveService{Service: ipvsctl.Service{Scheduler: "wlc", Persistence: time.Minute},
		Dests: []ipvsctl.LiveDest{dest("192.0.2.11", 80, ipvsctl.DR, 1), dest("192.0.2.12", 80, ipvsctl.DR, 0)}}
	for value, want := range map[string]string{"0": "192.0.2.12:80", "1": "192.0.2.11:80"} {
		in := Input{Input: doctor.Input{Host: &facts.Host{Sysctls: map[string]string{"net/ipv4/vs/expire_quiescent_template": value}}},
			Client: at("198.51.100.7:40000"), Target: at("192.0.2.100:80"), Protocol: ipvsctl.TCP,
			Connections: []ipvsctl.Connection{{Protocol: ipvsctl.TCP, Client: at("198.51.100.7:0"), Virtual: at("192.0.2.100:80"), Dest: at("192.0.2.12:80")}}}
		if got := choose(in, s); got.Real != at(want) {
			t.Errorf("expire_quiescent_template = %s: %s (%s), want %s", value, got.Real, got.Why, want)
		}
	}
}
