package director

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
)

func ids(p *Probes) []string {
	var names []string
	for _, t := range p.targets {
		names = append(names, t.ID)
	}
	return names
}

func TestServicesThatCheckTheSameShareOneTarget(t *testing.T) {
	c := pairConfig("lvs1")
	second := c.Services[0]
	second.Name = "web-again"
	second.Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:80")}
	c.Services = append(c.Services, second)
	p := NewProbes(c)
	if got, want := ids(p), []string{web1, web2}; !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
	if got, want := p.users[web1], []string{"web", "web-again"}; !slices.Equal(got, want) {
		t.Errorf("users of %s: %q, want %q", web1, got, want)
	}

	c.Services[1].Checks = []config.Check{c.Services[0].Checks[0]}
	c.Services[1].Checks[0].Fall = 9
	if got, want := ids(NewProbes(c)), []string{web1, web2, web1 + " #2", web2 + " #2"}; !slices.Equal(got, want) {
		t.Errorf("with another fall: targets %q, want %q", got, want)
	}
}

func TestAPingIsOneForAllListeners(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Listen = append(c.Services[0].Listen, netip.MustParseAddrPort("192.0.2.100:443"))
	c.Services[0].Checks = []config.Check{{Type: "ping", Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}}
	p := NewProbes(c)
	if got, want := ids(p), []string{"ping 192.0.2.11", "ping 192.0.2.12"}; !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
	for _, target := range p.targets {
		if err := target.Validate(); err != nil {
			t.Errorf("%s: %v", target.ID, err)
		}
	}
}

func TestAllOrAnyOfSeveralChecks(t *testing.T) {
	c := pairConfig("lvs1")
	s := &c.Services[0]
	s.Real = s.Real[:1]
	s.Checks = append(s.Checks, config.Check{Type: "ping", Every: time.Second, Timeout: time.Second, Rise: 1, Fall: 1})
	for _, test := range []struct {
		healthy   string
		tcp, ping healthcheck.Status
		in        bool
	}{
		{"all", "up", "up", true}, {"all", "up", "down", false}, {"all", "up", "", false}, {"all", "down", "up", false},
		{"any", "up", "down", true}, {"any", "", "up", true}, {"any", "down", "down", false}, {"any", "", "", false},
	} {
		s.HealthyWhen = test.healthy
		health := map[string]healthcheck.Verdict{web1: {Status: test.tcp}, "ping 192.0.2.11": {Status: test.ping}}
		got := Compute(Inputs{Config: c, Roles: master(), Health: health})
		if in := len(got.Table[0].Dests) == 1; in != test.in {
			t.Errorf("%s of tcp %q and ping %q: in the pool %v, want %v", test.healthy, test.tcp, test.ping, in, test.in)
		}
	}
}

func TestARealServersOwnCheckCountsInsteadOfTheServices(t *testing.T) {
	c := pairConfig("lvs1")
	own := c.Services[0].Checks[0]
	own.Address, own.Port = netip.MustParseAddr("198.51.100.9"), 81
	c.Services[0].Real[0].Checks = []config.Check{own}
	const probe = "tcp 198.51.100.9:81"
	if got, want := ids(NewProbes(c)), []string{probe, web2}; !slices.Equal(got, want) {
		t.Errorf("targets %q, want %q", got, want)
	}
	got := Compute(Inputs{Config: c, Roles: master(), Health: up(probe, web1)})
	if len(got.Table[0].Dests) != 1 || got.Table[0].Dests[0].Key.Address != c.Services[0].Real[0].Address {
		t.Errorf("pool %+v, want the first real server", got.Table[0].Dests)
	}
}

func TestWhatIsBelievedOutlivesAnotherWayToLook(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services = append(c.Services, c.Services[0])
	c.Services[1].Name = "again"
	c.Services[1].Checks = []config.Check{c.Services[0].Checks[0]}
	c.Services[1].Checks[0].Options = healthcheck.Encode(healthcheck.TCP{Expect: healthcheck.Hex("x")})
	health := up(web1)
	for _, target := range NewProbes(c).targets {
		v, ok := believed(target, health)
		first := target.Address.Addr() == netip.MustParseAddr("192.0.2.11")
		if ok != first || first && (v.ID != target.ID || v.Status != healthcheck.Up) {
			t.Errorf("of %s is believed: %+v (%v)", target.ID, v, ok)
		}
	}
}
