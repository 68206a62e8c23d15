package config

import (
	"net/netip"
	"slices"
	"testing"
)

func TestWhatAServiceByMarkListensOn(t *testing.T) {
	c := load(t, "testdata/good/marks.toml", testHost())
	byName := map[string]Service{}
	for _, s := range c.Services {
		byName[s.Name] = s
	}
	addr, at := netip.MustParseAddr, netip.MustParseAddrPort
	one, many, expanded := byName["one-port"], byName["many-ports"], byName["expanded"]
	if got, want := one.Addresses(), []netip.Addr{addr("192.0.2.100"), addr("192.0.2.101"), addr("192.0.2.102")}; !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	if got, want := one.Endpoints(), []netip.AddrPort{at("192.0.2.100:80"), at("192.0.2.102:80")}; !slices.Equal(got, want) {
		t.Errorf("endpoints %v, want one of each range: %v", got, want)
	}
	// The one port that there is gets asked; a ping needs none.
	if one.Checks[0].Port != 80 || many.Checks[0].Port != 0 {
		t.Errorf("ports that are checked %d and %d, want 80 and none", one.Checks[0].Port, many.Checks[0].Port)
	}
	for _, s := range []Service{one, many} {
		if len(s.Listen) != 1 || s.Listen[0].Port() != 0 {
			t.Errorf("%s has the listeners %v, want one without a port", s.Name, s.Listen)
		}
	}
	if got := expanded.Endpoints(); expanded.FWMark != 0 || len(got) != 4 || !slices.Equal(got, expanded.Listen) {
		t.Errorf("without a mark the endpoints are %v, want four listeners", got)
	}
}
