package vrrp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

var (
	alpha = netip.MustParseAddr("198.51.100.1")
	beta  = netip.MustParseAddr("198.51.100.2")
	vip   = netip.MustParseAddr("192.0.2.100")
)

func config(priority uint8) vrrp.RouterConfig {
	return vrrp.RouterConfig{Name: "edge", Interface: "eth0", VRID: 51, Priority: priority,
		Interval: time.Second, Preempt: true, Addresses: []netip.Addr{vip}}
}

// world is a LAN with everything that happened on it, in order and with its
// time since the start of the test.
type world struct {
	*testing.T
	lan   *vrrptest.LAN
	start time.Time
	mu    sync.Mutex
	lines []string
}

// inBubble runs a test with fake time. Sixty seconds of real time are for ever.
func inBubble(t *testing.T, fn func(w *world)) {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() { panic("a test in a bubble hangs: " + t.Name()) })
	defer timer.Stop()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, lan: vrrptest.NewLAN(), start: time.Now()}
		w.lan.Tap(func(f vrrptest.Frame) {
			w.note("%s sends %d", f.From, f.Message[2])
		})
		fn(w)
	})
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, time.Since(w.start).String()+" "+fmt.Sprintf(format, args...))
}

// took returns what happened since the last call, and settles first.
func (w *world) took() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// want asserts all that happened since the last look: sends and silence alike. In which
// order several nodes act in one instant is not theirs to choose.
func (w *world) want(lines ...string) {
	w.Helper()
	ordered := func(lines []string) []string {
		key := func(line string) (time.Duration, string) {
			words := strings.Fields(line)
			at, err := time.ParseDuration(words[0])
			if err != nil {
				w.Fatal(err)
			}
			return at, strings.TrimSuffix(words[1], ":")
		}
		lines = append([]string{}, lines...)
		slices.SortStableFunc(lines, func(a, b string) int {
			at, node := key(a)
			at2, node2 := key(b)
			if at != at2 {
				return int(at - at2)
			}
			return strings.Compare(node, node2)
		})
		return lines
	}
	if d := cmp.Diff(ordered(lines), ordered(w.took())); d != "" {
		w.Errorf("unexpected events (-want +got):\n%s", d)
	}
}

// node is a host with a running Speaker.
type node struct {
	*vrrp.Speaker
	w      *world
	host   *vrrptest.Host
	log    *bytes.Buffer // complete after stop
	cancel context.CancelFunc
	ended  chan error
}

// node starts a Speaker on a new host. It is stopped when the test ends.
func (w *world) node(name string, addresses ...netip.Addr) *node {
	return w.on(name, w.lan.Host(name, "eth0", addresses...))
}

func (w *world) on(name string, host *vrrptest.Host) *node {
	return w.with(host, func(t vrrp.Transition) { w.note("%s: %s to %s: %s", name, t.From, t.To, t.Reason) })
}

// with starts a Speaker with a sink of the test's own.
func (w *world) with(host *vrrptest.Host, sink func(vrrp.Transition)) *node {
	n := &node{w: w, host: host, log: &bytes.Buffer{}, ended: make(chan error, 1)}
	n.Speaker = vrrp.NewSpeaker(host, sink, slog.New(slog.NewTextHandler(n.log, nil)))
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	go func() { n.ended <- n.Run(ctx) }()
	w.Cleanup(n.crash)
	return n
}

// crash ends the Speaker without a word.
func (n *node) crash() {
	n.cancel()
	if err, ok := <-n.ended; ok && err != nil {
		n.w.Errorf("Run = %v", err)
	}
	select {
	case <-n.ended:
	default:
		close(n.ended)
	}
}

func (n *node) status() vrrp.RouterStatus {
	n.w.Helper()
	all, err := n.Status(n.w.Context())
	if err != nil || len(all) != 1 {
		n.w.Fatalf("Status = %+v, %v, want one router", all, err)
	}
	return all[0]
}

func TestElectionAndFailover(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		w.want("0s a: init to backup: start")
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		w.want("0s b: init to backup: start")
		time.Sleep(3218750*time.Microsecond - 1)
		w.want()
		time.Sleep(time.Nanosecond)
		w.want("3.21875s a sends 200", "3.21875s a: backup to master: master silent")
		time.Sleep(2 * time.Second)
		w.want("4.21875s a sends 200", "5.21875s a sends 200")
		a.crash()
		time.Sleep(3609375*time.Microsecond - 1)
		w.want()
		time.Sleep(time.Nanosecond)
		w.want("8.828125s b sends 100", "8.828125s b: backup to master: master silent")
	})
}

func TestHandoverIsMakeBeforeBreak(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(150)}, nil)
		time.Sleep(3218750 * time.Microsecond)
		w.took()
		done := make(chan error, 1)
		go func() { done <- a.Shutdown(context.Background()) }()
		w.want("3.21875s a sends 0", "3.21875s a: master to leaving: shutdown")
		time.Sleep(414062500)
		w.want("3.6328125s b sends 150", "3.6328125s b: backup to master: master resigned")
		select {
		case <-done:
			w.Error("Shutdown returned before the linger was over")
		default:
		}
		time.Sleep(100 * time.Millisecond)
		w.want("3.7328125s a: leaving to init: successor heard")
		if err := <-done; err != nil {
			w.Errorf("Shutdown = %v", err)
		}
		if got := a.status().State; got != vrrp.Init {
			w.Errorf("state after Shutdown = %v, want init", got)
		}
		a.Set([]vrrp.RouterConfig{config(250)}, nil) // no effect any more
		time.Sleep(900 * time.Millisecond)
		w.want("4.6328125s b sends 150")
		if got := a.status(); got.Priority != 200 || got.Reason != vrrp.ReasonSuccessor {
			w.Errorf("after Shutdown and Set: priority %d, %q, want what it was", got.Priority, got.Reason)
		}
		a.Link("eth0", false)
		a.Link("eth0", true)
		w.want()
	})
}

func TestShutdownWithoutSuccessorIsBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.want("0s a sends 255", "0s a: init to master: address owner")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := a.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("Shutdown with a short deadline = %v", err)
		}
		if err := a.Shutdown(context.Background()); err != nil {
			w.Errorf("Shutdown = %v", err)
		}
		w.want("0s a sends 0", "0s a: master to leaving: shutdown", "4s a: leaving to init: no successor heard")
	})
}

func TestShutdownOfNothingReturnsAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		if err := a.Shutdown(context.Background()); err != nil {
			w.Errorf("Shutdown = %v", err)
		}
		if got := time.Since(w.start); got != 0 {
			w.Errorf("Shutdown took %v", got)
		}
	})
}

func TestSetIsIdempotentAndReconfigures(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3218750*time.Microsecond + 300*time.Millisecond)
		w.took()
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		time.Sleep(700 * time.Millisecond)
		w.want("4.21875s a sends 200")
		time.Sleep(500 * time.Millisecond)
		lower := config(50)
		a.Set([]vrrp.RouterConfig{lower}, nil)
		w.want("4.71875s a sends 50")
		time.Sleep(3 * time.Second)
		// b heard 200 for the last time at 4.21875 s and waits 3.609375 s.
		w.want("5.71875s a sends 50", "6.71875s a sends 50", "7.71875s a sends 50")
		time.Sleep(200 * time.Millisecond)
		w.want("7.828125s b sends 100", "7.828125s b: backup to master: master silent", "7.828125s a sends 50",
			"7.828125s a: master to backup: higher priority heard", "7.828125s b: master to master: second master heard, staying master",
			"7.838125s b sends 100")
		if got := a.status().Priority; got != 50 {
			w.Errorf("priority in the status = %d, want 50", got)
		}
	})
}

func TestRemovedRouterHandsOverAndVanishes(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a", alpha), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3218750 * time.Microsecond)
		w.took()
		a.Set(nil, nil)
		w.want("3.21875s a sends 0", "3.21875s a: master to leaving: removed from the configuration")
		if got := a.status(); got.State != vrrp.Leaving || got.Reason != vrrp.ReasonRemoved {
			w.Errorf("status while handing over = %v, %v", got.State, got.Reason)
		}
		time.Sleep(609375*time.Microsecond + 100*time.Millisecond)
		w.want("3.828125s b sends 100", "3.828125s b: backup to master: master resigned", "3.928125s a: leaving to init: successor heard")
		if all, err := a.Status(w.Context()); err != nil || len(all) != 0 {
			w.Errorf("Status = %+v, %v, want none", all, err)
		}
	})
}

// A router that is renamed or gets another VRID is another router: the old one
// hands over first, and what needs its place waits for it.
func TestReplacedRouterWaitsForTheOldOne(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		renamed := config(255)
		renamed.Name = "other"
		a.Set([]vrrp.RouterConfig{renamed}, nil)
		time.Sleep(4 * time.Second)
		w.want("0s a sends 0", "0s a: master to leaving: removed from the configuration",
			"4s a: leaving to init: no successor heard", "4s a sends 255", "4s a: init to master: address owner")
		if got := a.status().Name; got != "other" {
			w.Errorf("router = %q, want other", got)
		}
	})
}

func TestUnusableRoutersAreShown(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		bad, twin, good := config(100), config(100), config(100)
		bad.Name, bad.VRID = "bad", 0
		twin.Name = "twin"
		a.Set([]vrrp.RouterConfig{good, twin, bad}, nil)
		w.want("0s a: init to backup: start")
		all, err := a.Status(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		got := map[string]string{}
		for _, s := range all {
			got[s.Name] = s.State.String() + " " + s.Problem
		}
		want := map[string]string{
			"bad":  `init virtual router "bad": VRID 0: must be 1..255`,
			"edge": "backup ",
			"twin": `init VRID 51 on eth0 is already used by virtual router "edge"`,
		}
		if d := cmp.Diff(want, got); d != "" {
			w.Errorf("status (-want +got):\n%s", d)
		}
	})
}

func TestResumedSpeakerGoesOnAsMaster(t *testing.T) {
	inBubble(t, func(w *world) {
		host := w.lan.Host("a", "eth0", alpha)
		a, b := w.on("a", host), w.node("b", beta)
		a.Set([]vrrp.RouterConfig{config(200)}, nil)
		b.Set([]vrrp.RouterConfig{config(100)}, nil)
		time.Sleep(3218750 * time.Microsecond)
		since := a.status().Since
		a.crash()
		time.Sleep(2 * time.Second)
		w.took()
		a = w.on("a", host)
		a.Set([]vrrp.RouterConfig{config(200)}, map[string]vrrp.Resume{"edge": {State: vrrp.Master, Since: since, Silent: 2 * time.Second}})
		w.want("5.21875s a sends 200", "5.21875s a: init to master: resumed after a crash")
		if got := a.status().Since; !got.Equal(since) {
			w.Errorf("since = %v, want %v", got, since)
		}
		time.Sleep(time.Second)
		w.want("6.21875s a sends 200")
	})
}

// The silence goes on while the interface cannot be opened.
func TestResumeCountsTheTimeUntilTheInterfaceIsOpen(t *testing.T) {
	inBubble(t, func(w *world) {
		host := w.lan.Host("a", "eth0", alpha)
		host.SetExists(false)
		a := w.on("a", host)
		a.Set([]vrrp.RouterConfig{config(200)}, map[string]vrrp.Resume{"edge": {State: vrrp.Master, Silent: 2 * time.Second}})
		time.Sleep(1500 * time.Millisecond)
		host.SetExists(true)
		time.Sleep(time.Second)
		w.want("2s a: init to backup: own silence outlasted the peer's patience")
	})
}

func TestRunEndsAndCannotBeRepeated(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		a.Set([]vrrp.RouterConfig{config(255)}, nil)
		w.took()
		a.crash()
		w.want() // no priority 0
		if err := a.Run(w.Context()); err == nil || !strings.Contains(err.Error(), "only once") {
			w.Errorf("second Run = %v", err)
		}
		if _, err := a.Status(w.Context()); !errors.Is(err, vrrp.ErrStopped) {
			w.Errorf("Status after Run = %v, want ErrStopped", err)
		}
		if err := a.Shutdown(w.Context()); !errors.Is(err, vrrp.ErrStopped) {
			w.Errorf("Shutdown after Run = %v, want ErrStopped", err)
		}
	})
}

// What is due together leaves together, and the sink hears of it afterwards.
func TestManyRoutersOnOneLink(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.node("a", alpha)
		var set []vrrp.RouterConfig
		for vrid := 255; vrid >= 1; vrid-- {
			cfg := config(255)
			cfg.Name, cfg.VRID, cfg.Interval = fmt.Sprintf("r%03d", vrid), uint8(vrid), 100*time.Millisecond
			set = append(set, cfg)
		}
		a.Set(set, nil)
		w.took()
		time.Sleep(time.Second)
		lines := w.took()
		if len(lines) != 2550 || !strings.HasPrefix(lines[0], "100ms ") || !strings.HasPrefix(lines[2549], "1s ") {
			w.Errorf("%d adverts in a second, from %q to %q, want 2550", len(lines), lines[0], lines[len(lines)-1])
		}
		all, err := a.Status(w.Context())
		if err != nil || len(all) != 255 || !slices.IsSortedFunc(all, func(x, y vrrp.RouterStatus) int { return strings.Compare(x.Name, y.Name) }) {
			w.Errorf("Status has %d routers (%v), want 255 sorted by name", len(all), err)
		}
		for _, s := range all {
			if s.Sent != 11 || s.MaxLateness != 0 {
				w.Fatalf("%s: sent %d, lateness %v, want 11, 0", s.Name, s.Sent, s.MaxLateness)
			}
		}
	})
}
