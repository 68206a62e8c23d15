package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// checked loads a service with the given keys and tables.
func checked(t *testing.T, text string) Service {
	t.Helper()
	before, _, _ := strings.Cut(withCheck("", ""), "real = ")
	return load(t, write(t, "a.toml", before+text), testHost()).Services[0]
}

func TestSeveralChecks(t *testing.T) {
	s := checked(t, `
healthy_when = "any"
real = [{ address = "192.0.2.11" }]
[[service.check]]
type = "http"
port = 8080
[[service.check]]
type = "ping"
every = "5s"
`)
	if len(s.Checks) != 2 || s.Checks[0].Type != "http" || s.Checks[1].Type != "ping" || s.Checks[1].Every != 5*time.Second || s.HealthyWhen != "any" {
		t.Errorf("checks %v, healthy when %q", s.Checks, s.HealthyWhen)
	}
}

func TestTheOrderOfChecksMeansNothing(t *testing.T) {
	digest := func(first, second string) string {
		before, _, _ := strings.Cut(withCheck("", ""), "real = ")
		return load(t, write(t, "a.toml", before+`
real = [{ address = "192.0.2.11" }]
check = [{ type = "`+first+`" }, { type = "`+second+`" }]
`), testHost()).Digest
	}
	if digest("tcp", "ping") != digest("ping", "tcp") || digest("tcp", "ping") == digest("tcp", "tcp") {
		t.Error("the digest follows the order of the checks, or nothing")
	}
}

func TestARealServerTakesFromTheServicesCheckWhatItDoesNotSay(t *testing.T) {
	const of = `
[service.check]
type = "http"
path = "/healthz"
every = "3s"
[[service.real]]
address = "192.0.2.11"
[service.real.check]
address = "198.51.100.9"
port = 81
fall = 7
[[service.real]]
address = "192.0.2.12"
[service.real.check]
type = "tcp"
[[service.real]]
address = "192.0.2.13"
`
	s := checked(t, of)
	path := string(healthcheck.Encode(healthcheck.HTTP{Path: "/healthz"}))
	path = strings.Trim(path, "{}")
	own := s.ChecksOf(s.Real[0])
	if c := own[0]; len(own) != 1 || c.Type != "http" || c.Every != 3*time.Second || c.Fall != 7 || c.Rise != defaultRise ||
		!strings.Contains(string(c.Options), path) {
		t.Errorf("checks of the first: %v", own)
	}
	listen := netip.MustParseAddrPort("192.0.2.100:80")
	if got, want := own[0].Where(s.Real[0], listen), netip.MustParseAddrPort("198.51.100.9:81"); got != want {
		t.Errorf("the first is checked at %s, want %s", got, want)
	}
	other := s.ChecksOf(s.Real[1])
	if c := other[0]; c.Type != "tcp" || c.Every != defaultEvery || c.Options != "" {
		t.Errorf("checks of the second: %v, want a tcp check with defaults", other)
	}
	if got, want := other[0].Where(s.Real[1], listen), netip.MustParseAddrPort("192.0.2.12:80"); got != want {
		t.Errorf("the second is checked at %s, want %s", got, want)
	}
	if got := s.ChecksOf(s.Real[2]); len(got) != 1 || got[0] != s.Checks[0] {
		t.Errorf("checks of the third: %v, want the service's", got)
	}
}

func TestRequiredKeysMayComeFromTheService(t *testing.T) {
	s := checked(t, `
[service.check]
type = "file"
path = "/run/a"
[[service.real]]
address = "192.0.2.11"
[service.real.check]
up_when = "present"
`)
	if c := s.Real[0].Checks[0]; !strings.Contains(string(c.Options), `"/run/a"`) || !strings.Contains(string(c.Options), "present") {
		t.Errorf("check %v", c)
	}
}
