package lab

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab/guest"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// newCluster builds a lab that is closed, and leaves nothing, when the test ends.
func newCluster(t *testing.T, spec Spec, options Options) *Cluster {
	t.Helper()
	if spec.Lab.Forward == ForwardNone {
		native(t)
	}
	testenv.Root(t)
	if options.Log == nil {
		options.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c, err := New(spec, options)
	if err != nil {
		t.Fatal(err)
	}
	id := c.lease.id
	t.Cleanup(func() {
		if t.Failed() {
			logs(t, c)
		}
		if err := c.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
		for _, root := range []string{leaseRoot, netnsRoot} {
			entries, _ := os.ReadDir(root)
			for _, e := range entries {
				if e.Name() == id || strings.HasPrefix(e.Name(), namePrefix+id+"-") {
					t.Errorf("left behind: %s", filepath.Join(root, e.Name()))
				}
			}
		}
	})
	return c
}

func logs(t *testing.T, c *Cluster) {
	paths, _ := filepath.Glob(filepath.Join(c.Dir(), "*", "*.log"))
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
			t.Logf("%s:\n%s", path, text)
		}
	}
}

// within returns a context for what must happen within d.
func bound(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// until polls a condition of the kernel.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waiting for %s: nothing after 10 s", what)
		}
	}
}

// direct is a lab in which the first director has the virtual address for good,
// put there by hand, and answers the client itself.
func direct(t *testing.T) *Cluster {
	t.Helper()
	spec := DefaultSpec(ForwardNone)
	c := newCluster(t, spec, Options{})
	d1 := c.Node("d1")
	if err := addAddress(d1.ns, Interface, within(ipv4.segment, hostVIP)); err != nil {
		t.Fatal(err)
	}
	if err := d1.StartResponder(bound(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheClientReachesANodeThroughTheRouter(t *testing.T) {
	c := direct(t)
	client, err := c.StartClient(bound(t, 10*time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"udp", "tcp"} {
		err := client.Until(bound(t, 10*time.Second), stream, "answers by d1", func(tick traffic.Tick) bool {
			return tick.Answered["d1"] > 0 && tick.Good() == tick.Sent
		})
		if err != nil {
			t.Error(err)
		}
	}
	reports, err := client.Stop(bound(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if r.Failed() != 0 || r.Sent == 0 || r.Answered != r.Sent || r.Server("d1").Answered != r.Sent {
			t.Errorf("account of %s = %+v, want all answered by d1", r.Stream, r)
		}
	}
	udp, _ := Find(reports, "udp", "start")
	// One router on the way takes one from the 64 that Linux begins with.
	if got := udp.Server("d1").TTLs[63]; got != udp.Answered {
		t.Errorf("answers with TTL 63 = %d of %d (%v)", got, udp.Answered, udp.Server("d1").TTLs)
	}
}

// native skips, in a guest, a test that needs no ip_vs: it runs on the host's own
// kernel, where time is true.
func native(t *testing.T) {
	t.Helper()
	if release, inside := guest.Inside(); inside {
		t.Skipf("runs on the host's kernel, not in the guest's %s", release)
	}
}
