package config

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/healthcheck"
)

func TestTrackValues(t *testing.T) {
	got := load(t, "testdata/good/track.toml", testHost())
	check := func(kind string, every, timeout time.Duration, rise, fall int, options string) *Check {
		return &Check{Type: kind, Every: every, Timeout: timeout, Rise: rise, Fall: fall, Options: healthcheck.Options(options)}
	}
	want := []Tracker{
		{Kind: "interface", Subject: "eth10", Weight: -60, DownDelay: 500 * time.Millisecond, UpDelay: 2 * time.Second},
		{Kind: "script", Subject: "/usr/lib/haldir/uplink --fast",
			Check: check("exec", 5*time.Second, 3*time.Second, 3, 2, `{"command":["/usr/lib/haldir/uplink","--fast"],"user":"daemon"}`)},
		{Kind: "file", Subject: "/run/haldir/serve", Check: check("file", time.Second, time.Second, 1, 1, `{"path":"/run/haldir/serve","up_when":"present"}`)},
		{Kind: "file", Subject: "/etc/haldir/drain", Weight: -254, Check: check("file", time.Second, time.Second, 1, 1, `{"path":"/etc/haldir/drain","up_when":"absent"}`)},
		{Kind: "number", Subject: "/run/haldir/shift", Check: check("number", time.Second, time.Second, 1, 1, `{"path":"/run/haldir/shift"}`)},
		{Kind: "process", Subject: "named -u bind", Check: check("process", 200*time.Millisecond, 200*time.Millisecond, 1, 1, `{"name":"named","arguments":"-u bind","at_least":2}`)},
		{Kind: "ping", Subject: "192.0.2.254", Address: netip.MustParseAddr("192.0.2.254"), Check: check("ping", time.Second, time.Second, 2, 3, "")},
		{Kind: "arp", Subject: "2001:db8::1", Weight: 20, Address: netip.MustParseAddr("2001:db8::1"), Check: check("arp", time.Second, time.Second, 2, 3, `{"interface":"eth10"}`)},
		{Kind: "service", Subject: "web"},
	}
	if diff := cmp.Diff(want, got.VRRP[0].Track, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("trackers differ (-want +got):\n%s", diff)
	}
	if len(got.Warnings) != 0 {
		t.Errorf("warnings: %v", got.Warnings)
	}
}

// Trackers that look at the same thing in another way are not the same check.
func TestTrackersShareAnEqualCheckAlone(t *testing.T) {
	a := Tracker{Kind: "ping", Subject: "192.0.2.254", Check: &Check{Type: "ping", Every: time.Second}}
	b, c := a, a
	b.Weight = -5
	c.Check = &Check{Type: "ping", Every: 2 * time.Second}
	if a.Target() != b.Target() || a.Target() == c.Target() {
		t.Errorf("targets %q, %q and %q, want the first two alike", a.Target(), b.Target(), c.Target())
	}
	if got := (Tracker{Kind: "interface", Subject: "eth1"}).Target(); got != "" {
		t.Errorf("an interface has the check %q", got)
	}
}

const tracked = `[[vrrp]]
name = "edge"
interface = "eth0"
router_id = 51
addresses = ["192.0.2.100/24"]
track = [TRACKER]
`

// What a director could not do is an error there and a warning elsewhere.
func TestTrackedThingsOfThisHost(t *testing.T) {
	unsafe := func(path string) error { return errors.New(path + ": others can change it") }
	for _, test := range []struct {
		tracker         string
		director, other string // what is said; empty: nothing
		fatal           bool
	}{
		{`{ script = ["/tmp/x"] }`, "/tmp/x: others can change it", "on this host: /tmp/x: others can change it", true},
		{`{ interface = "eth7" }`, `this host has no interface "eth7" now`, "", false},
		{`{ interface = "eth0" }`, "the router's own interface is tracked in any case", "the router's own interface is tracked in any case", false},
	} {
		for _, director := range []bool{true, false} {
			opt := testHost()
			opt.Program, opt.RequireDirector = unsafe, director
			c, err := Load(write(t, "a.toml", strings.Replace(tracked, "TRACKER", test.tracker, 1)), opt)
			want, said := test.other, ""
			if director {
				want = test.director
			}
			switch {
			case err != nil:
				said = err.Error()
			case len(c.Warnings) > 0:
				said = c.Warnings.Error()
			}
			if (err != nil) != (director && test.fatal) || !strings.Contains(said, want) || (want == "") != (said == "") {
				t.Errorf("%s, as director %v: error %v, said %q, want %q", test.tracker, director, err != nil, said, want)
			}
		}
	}
}
