package realserver

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// bench is a Runner on a fake host.
type bench struct {
	*fake
	*Runner
}

func newBench(t *testing.T) bench {
	f := newFake(t)
	dir := filepath.Join(t.TempDir(), "run")
	f.record = filepath.Join(dir, sysctlRecord)
	return bench{f, &Runner{StateDir: dir, Kernel: f, Log: slog.New(slog.DiscardHandler)}}
}

// files lists what is left in the StateDir.
func (b bench) files() []string {
	entries, err := os.ReadDir(b.StateDir)
	if err != nil && !os.IsNotExist(err) {
		b.t.Error(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func desired(t *testing.T, services ...config.Service) State {
	t.Helper()
	host := host("eth0", "192.0.2.11", "eth0", "2001:db8::11")
	host.MTU = map[string]int{"eth0": 1500}
	s, err := Desired(cluster(services...), host)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func everyMode(t *testing.T) State {
	return desired(t, append(plainModes(),
		tunnelled("gue", "192.0.2.103:80", "gue", 6080), tunnelled("gre", "192.0.2.104:80", "gre", 0),
		over6(tunnelled("gue6", "[2001:db8::103]:80", "gue", 6080)), over6(tunnelled("gre6", "[2001:db8::104]:80", "gre", 0)),
		over6(tunnelled("4in6", "192.0.2.105:80", "ipip", 0)), tunnelled("6in4", "[2001:db8::105]:80", "ipip", 0))...)
}

func someModes(t *testing.T) State {
	return desired(t, append(plainModes(), over6(tunnelled("gue6", "[2001:db8::103]:80", "gue", 6080)))...)
}

// plainModes are those without other tunnels than IP in IP.
func plainModes() []config.Service {
	return []config.Service{
		service("dr", "dr", "192.0.2.100:80", "192.0.2.11"),
		tunnelled("tun", "192.0.2.101:80", "ipip", 0),
		service("nat", "nat", "192.0.2.100:81", "192.0.2.11"),
		redirected("redirect", "192.0.2.102:80", "192.0.2.11", 8080),
	}
}

// tunnelled is a service by TUN in other than IP in IP.
func tunnelled(name, listen, kind string, port uint16) config.Service {
	s := service(name, "tun", listen, "192.0.2.11")
	s.Protocol, s.Attributes.Tunnel = "tcp", config.Tunnel{Type: kind, Port: port}
	return s
}

// over6 gives a service a real server of IPv6 instead.
func over6(s config.Service) config.Service {
	s.Real[0].Address = netip.MustParseAddr("2001:db8::11")
	return s
}

// redirected is a service by DR that its real server redirects to a port.
func redirected(name, listen, real string, to uint16) config.Service {
	s := service(name, "dr", listen, real)
	s.Protocol, s.Redirect = "tcp", true
	s.Real[0].Port, s.Real[0].Redirects = to, to != 0
	return s
}

func gueOnly(t *testing.T) State { return desired(t, tunnelled("gue", "192.0.2.103:80", "gue", 6081)) }

func natOnly(t *testing.T) State {
	return desired(t, service("nat", "nat", "192.0.2.100:81", "192.0.2.11"))
}

// In all of these the fake checks the rules after every change. They ask nothing of
// the kernel, so they are left out where it is emulated and a minute is lost.

func pure(t *testing.T) {
	t.Helper()
	if testenv.Required("ipvs") {
		t.Skip("the kernel has no part in it: tested outside of the guest")
	}
}

func TestApplyEndsRightAfterAKillAtAnyStep(t *testing.T) {
	pure(t)
	want := newBench(t)
	if err := want.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	for step := 1; ; step++ {
		b := newBench(t)
		before := b.String()
		died := b.survive(step, func() { _ = b.Apply(t.Context(), everyMode(t)) })
		if err := b.Apply(t.Context(), everyMode(t)); err != nil {
			t.Fatalf("killed at step %d, then applied: %v", step, err)
		}
		if d := cmp.Diff(want.String(), b.String()); d != "" {
			t.Fatalf("killed at step %d, then applied (-want +got):\n%s", step, d)
		}
		b.expectUndone(before, "killed at step", step, "then applied, then removed")
		if !died {
			if step < 30 {
				t.Errorf("apply took %d steps, so not every one was tried", step)
			}
			return
		}
	}
}

func TestRemoveEndsRightAfterAKillOfApplyAtAnyStep(t *testing.T) {
	pure(t)
	for step := 1; ; step++ {
		b := newBench(t)
		before := b.String()
		died := b.survive(step, func() { _ = b.Apply(t.Context(), everyMode(t)) })
		b.expectUndone(before, "apply killed at step", step)
		if !died {
			return
		}
	}
}

func TestRemoveEndsRightAfterAKillOfRemoveAtAnyStep(t *testing.T) {
	pure(t)
	for step := 1; ; step++ {
		b := newBench(t)
		before := b.String()
		if err := b.Apply(t.Context(), everyMode(t)); err != nil {
			t.Fatal(err)
		}
		died := b.survive(step, func() { _ = b.Remove(t.Context()) })
		b.expectUndone(before, "remove killed at step", step)
		if !died {
			if step < 15 {
				t.Errorf("remove took %d steps, so not every one was tried", step)
			}
			return
		}
	}
}

func TestApplyAgainAfterAKillOfRemoveAtAnyStep(t *testing.T) {
	pure(t)
	want := newBench(t)
	if err := want.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	for step := 1; ; step++ {
		b := newBench(t)
		before := b.String()
		if err := b.Apply(t.Context(), everyMode(t)); err != nil {
			t.Fatal(err)
		}
		died := b.survive(step, func() { _ = b.Remove(t.Context()) })
		if err := b.Apply(t.Context(), everyMode(t)); err != nil {
			t.Fatalf("remove killed at step %d, then applied: %v", step, err)
		}
		if d := cmp.Diff(want.String(), b.String()); d != "" {
			t.Fatalf("remove killed at step %d, then applied (-want +got):\n%s", step, d)
		}
		b.expectUndone(before, "remove killed at step", step, "applied, removed")
		if !died {
			return
		}
	}
}

func TestAChangeOfModeEndsRightAfterAKillAtAnyStep(t *testing.T) {
	pure(t)
	changes := []struct {
		name     string
		from, to func(*testing.T) State
	}{
		{"from some modes to nat", someModes, natOnly},
		{"from some modes to gue", someModes, gueOnly},
		{"from nat to some modes", natOnly, someModes},
	}
	for _, change := range changes {
		t.Run(change.name, func(t *testing.T) {
			want := newBench(t)
			if err := want.Apply(t.Context(), change.to(t)); err != nil {
				t.Fatal(err)
			}
			for step := 1; ; step++ {
				b := newBench(t)
				before := b.String()
				if err := b.Apply(t.Context(), change.from(t)); err != nil {
					t.Fatal(err)
				}
				died := b.survive(step, func() { _ = b.Apply(t.Context(), change.to(t)) })
				if err := b.Apply(t.Context(), change.to(t)); err != nil {
					t.Fatalf("killed at step %d, then applied: %v", step, err)
				}
				if d := cmp.Diff(want.String(), b.String()); d != "" {
					t.Fatalf("killed at step %d, then applied (-want +got):\n%s", step, d)
				}
				b.expectUndone(before, "killed at step", step)
				if !died {
					return
				}
			}
		})
	}
}

// expectUndone removes everything and compares with the host as it was before.
func (b bench) expectUndone(before string, story ...any) {
	b.t.Helper()
	if err := b.Remove(b.t.Context()); err != nil {
		b.t.Fatalf("%v: Remove: %v", story, err)
	}
	if d := cmp.Diff(before, b.String()); d != "" {
		b.t.Fatalf("%v: after Remove (-before +after):\n%s", story, d)
	}
	if left := b.files(); len(left) != 0 {
		b.t.Fatalf("%v: after Remove there are still %v", story, left)
	}
}
