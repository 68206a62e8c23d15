package realserver

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// viaReal has the asker send what is for the VIP to the real server's MAC, as a
// director by DR does.
func viaReal(t *testing.T, far *testenv.Netns) {
	t.Helper()
	var err error
	far.Do(t, func() {
		err = netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: vip.AsSlice(), Mask: net.CIDRMask(32, 32)}, Gw: serverAddr.AsSlice()})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// serve answers each connection to an address of this host with a name.
func serve(t *testing.T, at, name string) {
	t.Helper()
	listener, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
}

// ask connects from the asker and returns what answers.
func ask(t *testing.T, far *testenv.Netns, at string) (string, error) {
	t.Helper()
	var conn net.Conn
	var err error
	far.Do(t, func() { conn, err = net.DialTimeout("tcp", at, 10*time.Second) })
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	text, err := io.ReadAll(conn)
	return string(text), err
}

func TestRedirectOnTheKernelServesWithoutTheVIP(t *testing.T) {
	far := segment(t)
	r, state := onHost(t, redirected("web", "192.0.2.100:80", "192.0.2.11", 8080), redirected("tls", "192.0.2.100:443", "192.0.2.11", 0))
	sysctls, before := confSysctls(t), addresses(t)
	viaReal(t, far)
	serve(t, "192.0.2.11:8080", "mapped")
	serve(t, "0.0.0.0:443", "same port")
	asker := hammer(t, far, vip, serverAddr)
	if err := r.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	expectAllOK(t, r, state)
	for at, want := range map[string]string{"192.0.2.100:80": "mapped", "192.0.2.100:443": "same port"} {
		if got, err := ask(t, far, at); got != want || err != nil {
			t.Errorf("%s answers %q, %v; want %q", at, got, err, want)
		}
	}
	asker.expectSilence("after requests")
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls (-before +after):\n%s", d)
	}

	// As the master, a director of this host has the VIP: then its IPVS decides, and
	// what is sent to the VIP stays that way.
	holdAsDirector(t, "192.0.2.100/24")
	serve(t, "192.0.2.100:80", "the master")
	if got, err := ask(t, far, "192.0.2.100:80"); got != "the master" || err != nil {
		t.Errorf("a master answers %q, %v; want what listens at its VIP", got, err)
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := netif.ReadRedirects(t.Context()); got.Present || err != nil {
		t.Errorf("after remove: %+v, %v", got, err)
	}
}

// A change of how the VIP is received, by the same real server, in one Apply.
func TestFromRedirectToTheAddressAndBackOnTheKernel(t *testing.T) {
	far := segment(t)
	r, by := onHost(t, redirected("web", "192.0.2.100:80", "192.0.2.11", 0))
	_, held := onHost(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	sysctls, before := confSysctls(t), addresses(t)
	viaReal(t, far)
	serve(t, "0.0.0.0:80", "web")
	asker := hammer(t, far, vip, serverAddr)
	// Another service may have the host hold the same VIP.
	_, both := onHost(t, redirected("web", "192.0.2.100:80", "192.0.2.11", 0), service("tls", "dr", "192.0.2.100:443", "192.0.2.11"))
	for _, state := range []State{by, held, by, both, held} {
		if err := r.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		expectAllOK(t, r, state)
		if got, err := ask(t, far, netip.AddrPortFrom(vip, 80).String()); got != "web" || err != nil {
			t.Errorf("with %+v it answers %q, %v", state, got, err)
		}
		asker.expectSilence("after a change")
	}
	if err := r.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, addresses(t), equateNetip); d != "" {
		t.Errorf("addresses (-before +after):\n%s", d)
	}
	if d := cmp.Diff(sysctls, confSysctls(t)); d != "" {
		t.Errorf("sysctls (-before +after):\n%s", d)
	}
}
