package director

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestMetricsAreServedWhereTheConfigurationSays moves them, takes an address that
// is in use, and ends them.
func TestMetricsAreServedWhereTheConfigurationSays(t *testing.T) {
	free := func() netip.AddrPort {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		return netip.MustParseAddrPort(l.Addr().String())
	}
	d := New(Options{Log: quiet()})
	d.config = pairConfig("lvs1")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); d.web.run(ctx, d) }()
	defer func() { stop(); <-ended }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	answers := func(at netip.AddrPort) bool {
		response, err := client.Get("http://" + at.String() + "/")
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return err == nil && strings.HasPrefix(string(body), "haldir\n")
	}
	await := func(what string, done func() bool) {
		t.Helper()
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for deadline := time.Now().Add(20 * time.Second); !done(); <-ticker.C {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
	first, second := free(), free()
	d.web.set(first)
	await("the first address", func() bool { return answers(first) })
	d.web.set(second)
	await("the second address", func() bool { return answers(second) && !answers(first) })

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	third := netip.MustParseAddrPort(taken.Addr().String())
	d.web.set(third)
	await("the problem to be known", func() bool { return strings.Contains(d.web.trouble(), "address already in use") })
	_ = taken.Close()
	await("the third address", func() bool { return answers(third) && d.web.trouble() == "" })
	d.web.set(netip.AddrPort{})
	await("the end", func() bool { return !answers(third) })
}
