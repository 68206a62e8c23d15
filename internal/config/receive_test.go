package config

import "testing"

func TestReceiveValues(t *testing.T) {
	c := load(t, "testdata/good/receive.toml", testHost())
	for i, want := range []bool{true, false} {
		if s := c.Services[i]; s.Redirect != want {
			t.Errorf("%s: Redirect = %v, want %v", s.Name, s.Redirect, want)
		}
	}
	for i, want := range []struct {
		port      uint16
		redirects bool
	}{{8080, true}, {0, false}, {0, false}} {
		if r := c.Services[0].Real[i]; r.Port != want.port || r.Redirects != want.redirects {
			t.Errorf("real server %s: Port = %d, Redirects = %v, want %+v", r.Address, r.Port, r.Redirects, want)
		}
	}
}
