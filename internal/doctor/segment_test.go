package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/facts"
	"github.com/haldir-lb/haldir/internal/netif"
)

var (
	ownMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	peerMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 3}
	realMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 0x11}
	peerAddr = netip.MustParseAddr("192.0.2.3")
)

// onSegment is a director with 192.0.2.2/24 on eth0.
func onSegment(change func(*facts.Host)) *facts.Host {
	return directorFacts(func(h *facts.Host) {
		h.Links[0].MAC = ownMAC
		h.Addresses = []facts.Address{{PresentAddress: netif.PresentAddress{
			Address: netif.Address{Interface: "eth0", Prefix: netip.MustParsePrefix("192.0.2.2/24")}}, Scope: "global"}}
		h.Neighbours = []facts.Neighbour{{Interface: "eth0", Address: real, MAC: realMAC}, {Interface: "eth0", Address: peerAddr, MAC: peerMAC}}
		change(h)
	})
}

func holdsVIP(h *facts.Host) {
	h.Addresses = append(h.Addresses, facts.Address{PresentAddress: netif.PresentAddress{
		Address: netif.Address{Interface: "eth0", Prefix: netip.PrefixFrom(vip, 24)}, Ours: true, Proto: netif.Protocol}})
}

func answered(macs ...net.HardwareAddr) *facts.Segment {
	var answers []arp.Answer
	for _, mac := range macs {
		answers = append(answers, arp.Answer{MAC: mac})
	}
	return &facts.Segment{Owners: map[facts.Question][]arp.Answer{{Interface: "eth0", Address: vip}: answers}, Listened: time.Second}
}

func heard(adverts ...facts.Advert) *facts.Segment {
	s := answered(peerMAC)
	s.Adverts = adverts
	return s
}

// advert is what the peer of cluster's router sends.
func advert(change func(*facts.Advert)) facts.Advert {
	a := facts.Advert{
		Interface: "eth0", Source: peerAddr, Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip},
	}
	if change != nil {
		change(&a)
	}
	return a
}

func status(state string) *control.Status {
	return &control.Status{Routers: []control.RouterStatus{{Name: "edge", State: state, Interface: "eth0", VRID: 51}}}
}

func TestWhatTheSegmentShows(t *testing.T) {
	nothing := func(*facts.Host) {}
	tests := []struct {
		name    string
		host    *facts.Host
		status  *control.Status
		segment *facts.Segment
		want    []string
		with    string // a part of the first finding's evidence
	}{
		{"the peer has it", onSegment(nothing), status("backup"), answered(peerMAC), nil, ""},
		{"this host has it", onSegment(holdsVIP), status("master"), answered(), nil, ""},
		{"nobody has it", onSegment(nothing), status("backup"), answered(), []string{"vip-unanswered"}, "nobody answered"},
		{"nobody was asked", onSegment(nothing), status("backup"), &facts.Segment{}, nil, ""},
		{"two have it", onSegment(nothing), status("backup"), answered(peerMAC, net.HardwareAddr{2, 0, 0, 0, 0, 9}), []string{"duplicate-vip"},
			"02:00:00:00:00:03 and 02:00:00:00:00:09"},
		{"this host and another have it", onSegment(holdsVIP), status("master"), answered(peerMAC), []string{"duplicate-vip"}, "this host and 02:00:00:00:00:03"},
		{"a real server has it", onSegment(nothing), status("backup"), answered(realMAC), []string{"vip-answered-by-real-server"}, "real server 192.0.2.11"},
		{"a neighbour that is wrong", onSegment(func(h *facts.Host) {
			h.Neighbours = append(h.Neighbours, facts.Neighbour{Interface: "eth0", Address: vip, MAC: realMAC})
		}), status("backup"), answered(peerMAC), []string{"neighbour-wrong"}, "the neighbour table has 02:00:00:00:00:11, and 02:00:00:00:00:03 answers"},
		{"the peer's adverts", onSegment(nothing), status("backup"), heard(advert(nil)), nil, ""},
		{"a change of the priority is no second master", onSegment(nothing), status("backup"),
			heard(advert(nil), advert(func(a *facts.Advert) { a.Priority = 90 })), nil, ""},
		{"other addresses", onSegment(nothing), status("backup"),
			heard(advert(func(a *facts.Advert) { a.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.200")} })), []string{"vrid-duplicate"}, "addresses 192.0.2.200; ours are 192.0.2.100"},
		{"another interval", onSegment(nothing), status("backup"), heard(advert(func(a *facts.Advert) { a.Interval = 100 * time.Millisecond })),
			[]string{"vrrp-mismatch"}, "every 100ms"},
		{"another version", onSegment(nothing), status("backup"), heard(advert(func(a *facts.Advert) { a.Version = 2 })), []string{"vrrp-mismatch"}, "version 2"},
		{"two masters beside this one", onSegment(nothing), status("backup"),
			heard(advert(nil), advert(func(a *facts.Advert) { a.Source = netip.MustParseAddr("192.0.2.4") })), []string{"two-masters"}, "192.0.2.3 and 192.0.2.4"},
		{"another master beside this one", onSegment(nothing), status("master"), heard(advert(nil)), []string{"two-masters"}, "this host and 192.0.2.3"},
		{"one that resigns is no master", onSegment(nothing), status("master"), heard(advert(func(a *facts.Advert) { a.Priority = 0 })), nil, ""},
		{"another cluster", onSegment(nothing), status("backup"), heard(advert(func(a *facts.Advert) { a.VRID = 7 })), []string{"vrrp-foreign"}, "virtual router 7 of 192.0.2.3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := cluster("dr")
			cfg.VRRP[0].Version = 3
			found := Examine(Input{Host: tt.host, Config: cfg, Status: tt.status, Segment: tt.segment})
			if d := cmp.Diff(tt.want, without(ids(found), "clock-unsynchronised")); d != "" {
				t.Errorf("kinds of findings (-want +got):\n%s", d)
			}
			if len(found) > 0 && !strings.Contains(found[0].Evidence, tt.with) {
				t.Errorf("evidence = %q, want %q in it", found[0].Evidence, tt.with)
			}
		})
	}
}

func without(list []string, id string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == id })
}

// In a pair of two machines, each is a real server too.
func TestARealServerThatIsADirectorMayAnswer(t *testing.T) {
	cfg := cluster("dr")
	cfg.VRRP[0].Version = 3
	segment := answered(realMAC)
	segment.Adverts = []facts.Advert{advert(func(a *facts.Advert) { a.Source = real })}
	in := Input{Host: onSegment(func(*facts.Host) {}), Config: cfg, Status: status("backup"), Segment: segment}
	if got := ids(Examine(in)); len(got) > 0 {
		t.Errorf("findings = %v, want none", got)
	}
}

func TestLookAsksAndListensWhereTheRoutersAre(t *testing.T) {
	cfg := cluster("dr")
	cfg.VRRP[0].Interval = 2 * time.Second
	want := facts.Look{Ask: []facts.Question{{Interface: "eth0", Address: vip}}, Listen: []string{"eth0"}, For: 4 * time.Second}
	got := Look(Input{Host: onSegment(func(*facts.Host) {}), Config: cfg})
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("look (-want +got):\n%s", d)
	}
	// Another host of the segment, by another interface's name.
	other := onSegment(func(h *facts.Host) {
		h.Links[0].Name, h.Addresses[0].Interface = "lan", "lan"
	})
	cfg.VRRP[0].Priority = 0
	want = facts.Look{Ask: []facts.Question{{Interface: "lan", Address: vip}}, For: time.Second}
	if d := cmp.Diff(want, Look(Input{Host: other, Config: cfg}), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("look of another host (-want +got):\n%s", d)
	}
	if got := Look(Input{}); len(got.Ask)+len(got.Listen) > 0 {
		t.Errorf("look of nothing = %+v", got)
	}
}

func TestAMachineThatIsLateOrHasTheWrongTime(t *testing.T) {
	examine := func(late time.Duration, synchronised bool) []string {
		segment := answered(peerMAC)
		segment.Late, segment.Clock = late, &facts.Clock{Synchronised: synchronised}
		return ids(Examine(Input{Host: onSegment(func(*facts.Host) {}), Config: cluster("dr"), Status: status("backup"), Segment: segment}))
	}
	for _, tt := range []struct {
		late         time.Duration
		synchronised bool
		want         []string
	}{
		{999 * time.Millisecond, true, nil}, // the interval is a second
		{time.Second, true, []string{"scheduler-late"}},
		{0, false, []string{"clock-unsynchronised"}},
	} {
		if d := cmp.Diff(tt.want, examine(tt.late, tt.synchronised)); d != "" {
			t.Errorf("late by %s, synchronised %v (-want +got):\n%s", tt.late, tt.synchronised, d)
		}
	}
}

func TestWhatTheOtherDirectorSays(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name      string
		announced time.Duration // ago
		change    func(*control.DirectorStatus)
		want      []string
	}{
		{"all is well", time.Minute, func(*control.DirectorStatus) {}, nil},
		{"another configuration", time.Minute, func(d *control.DirectorStatus) { d.SameConfig = false }, []string{"config-differs"}},
		{"another configuration of one that is silent", time.Minute, func(d *control.DirectorStatus) { d.SameConfig, d.Silent = false, true }, nil},
		{"it heard no announcement", time.Minute, func(d *control.DirectorStatus) { d.Heard = nil }, []string{"announcements-unheard"}},
		{"it may not have said so yet", time.Second, func(d *control.DirectorStatus) { d.Heard = nil }, nil},
		{"it does not say all", time.Minute, func(d *control.DirectorStatus) { d.Heard, d.Partial = nil, true }, nil},
		{"it heard another station", time.Minute, func(d *control.DirectorStatus) { d.Heard[0].MAC = "02:00:00:00:00:09" }, []string{"announcements-unheard"}},
		{"it heard the virtual MAC", time.Minute, func(d *control.DirectorStatus) { d.Heard[0].MAC = "00:00:5e:00:01:33" }, nil},
		{"it is elsewhere", time.Minute, func(d *control.DirectorStatus) { d.Heard, d.Interface = nil, "eth1" }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := status("master")
			s.At = now
			s.Routers[0].Addresses = []control.AddressStatus{{Address: "192.0.2.100/24", Announced: now.Add(-tt.announced)}}
			d := control.DirectorStatus{
				Node: "d2", Interface: "eth0", SameConfig: true, Heard: []control.AnnouncementEar{{Address: "192.0.2.100", MAC: ownMAC.String()}},
			}
			tt.change(&d)
			s.Directors = []control.DirectorStatus{d}
			got := ids(Examine(Input{Host: onSegment(holdsVIP), Config: cluster("dr"), Status: s}))
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("kinds of findings (-want +got):\n%s", d)
			}
		})
	}
}

func TestDirectoryNamesMachines(t *testing.T) {
	cfg := cluster("dr")
	cfg.VRRP[0].Peers = []netip.Addr{peerAddr, netip.MustParseAddr("192.0.2.2")}
	cfg.Services[0].Real = append(cfg.Services[0].Real, config.Real{Address: netip.MustParseAddr("192.0.2.12")})
	d := NewDirectory(Input{Host: onSegment(func(*facts.Host) {}), Config: cfg})
	for mac, want := range map[string]string{
		"02:00:00:00:00:02": "this host, eth0", "02:00:00:00:00:03": "director 192.0.2.3", "02:00:00:00:00:11": "real server 192.0.2.11",
		"00:00:5e:00:01:33": "virtual router 51", "00:00:5e:00:02:07": "virtual router 7", "02:00:00:00:00:12": "",
	} {
		parsed, err := net.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Name(parsed); got != want {
			t.Errorf("Name(%s) = %q, want %q", mac, got, want)
		}
	}
	if diff := cmp.Diff(map[netip.Addr]string{netip.MustParseAddr("192.0.2.12"): "real server 192.0.2.12"}, d.Ask(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("to be asked for (-want +got):\n%s", diff)
	}
}
