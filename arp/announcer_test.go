package arp

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
)

// fakeLAN opens ports that write down what they are told to send.
type fakeLAN struct {
	begin  time.Time
	mu     sync.Mutex // guards all below
	frames []string   // "0s eth0 request 192.0.2.1"
	broken map[string]error
	stale  bool // ports say that they are no longer current
	opened int
	closed int
}

type fakePort struct {
	lan    *fakeLAN
	ifname string
}

func (l *fakeLAN) open(ifname string) (Port, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.broken[ifname]; err != nil {
		return nil, err
	}
	l.opened++
	l.stale = false
	return fakePort{l, ifname}, nil
}

func (p fakePort) Announce(form Form, addr netip.Addr) error {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if err := p.lan.broken[p.ifname]; err != nil {
		return err
	}
	p.lan.frames = append(p.lan.frames, fmt.Sprintf("%v %s %v %v", time.Since(p.lan.begin), p.ifname, form, addr))
	return nil
}

func (p fakePort) Current() bool {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	return !p.lan.stale
}

func (p fakePort) Close() error {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.closed++
	return nil
}

// set breaks the interface; nil repairs it.
func (l *fakeLAN) set(ifname string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.broken, ifname)
	if err != nil {
		l.broken[ifname] = err
	}
}

// run starts an announcer in a bubble; stop ends it and checks that it closed
// what it opened.
func run(t *testing.T, log *bytes.Buffer) (a *Announcer, lan *fakeLAN, stop func()) {
	lan = &fakeLAN{begin: time.Now(), broken: map[string]error{}}
	a = NewAnnouncer(lan.open, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, lan, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if lan.opened != lan.closed {
			t.Errorf("%d ports opened, %d closed", lan.opened, lan.closed)
		}
	}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func on(ifname, addr string) Target { return Target{ifname, netip.MustParseAddr(addr)} }

func TestAnnouncerSendsBothFormsAtOnceAndOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lan, stop := run(t, &bytes.Buffer{})
		defer stop()
		pass(time.Second)
		a.Set(map[Target]Schedule{on("eth0", "192.0.2.1"): {Burst: 2, Spacing: 100 * ms}})
		pass(time.Second)
		want := []string{
			"1s eth0 request 192.0.2.1", "1s eth0 reply 192.0.2.1",
			"1.1s eth0 request 192.0.2.1", "1.1s eth0 reply 192.0.2.1",
		}
		if diff := cmp.Diff(want, lan.frames); diff != "" {
			t.Errorf("frames (-want +got):\n%s", diff)
		}
		a.Repeat()
		pass(50 * ms)
		a.Set(nil)
		pass(time.Second)
		want = append(want, "2s eth0 request 192.0.2.1", "2s eth0 reply 192.0.2.1")
		if diff := cmp.Diff(want, lan.frames); diff != "" {
			t.Errorf("frames after a repetition cut short (-want +got):\n%s", diff)
		}
	})
}

// An IPv6 address has the same schedule, with one frame a round.
func TestAnnouncerAdvertisesIPv6Addresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lan, stop := run(t, &bytes.Buffer{})
		defer stop()
		a.Set(map[Target]Schedule{on("eth0", "2001:db8::1"): {Burst: 2, Spacing: 100 * ms, Again: time.Second, Refresh: time.Minute}})
		pass(63 * time.Second)
		want := []string{
			"0s eth0 advertisement 2001:db8::1", "100ms eth0 advertisement 2001:db8::1",
			"1s eth0 advertisement 2001:db8::1", "1.1s eth0 advertisement 2001:db8::1",
			"1m1.1s eth0 advertisement 2001:db8::1",
		}
		if diff := cmp.Diff(want, lan.frames); diff != "" {
			t.Errorf("frames (-want +got):\n%s", diff)
		}
		status, err := a.Status(t.Context())
		if err != nil || len(status) != 1 || status[0].Frames != 5 {
			t.Errorf("status %+v, %v, want 5 frames", status, err)
		}
	})
}

func TestSetBeforeRunIsKeptAndNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := &fakeLAN{begin: time.Now()}
		a := NewAnnouncer(lan.open, slog.New(slog.DiscardHandler))
		for i := range 100 { // without a reader
			a.Set(map[Target]Schedule{on("eth0", fmt.Sprintf("192.0.2.%d", i)): {Burst: 1}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = a.Run(ctx) }()
		pass(time.Second)
		want := []string{"0s eth0 request 192.0.2.99", "0s eth0 reply 192.0.2.99"}
		if diff := cmp.Diff(want, lan.frames); diff != "" {
			t.Errorf("frames: the last set counts (-want +got):\n%s", diff)
		}
	})
}

func TestABrokenInterfaceHindersNoOtherAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a, lan, stop := run(t, &log)
		defer stop()
		lan.set("eth1", errors.New("no such network interface"))
		a.Set(map[Target]Schedule{
			on("eth0", "192.0.2.1"):    {Burst: 1},
			on("eth1", "198.51.100.1"): {Burst: 2, Spacing: 100 * ms},
		})
		pass(10 * time.Second)
		if want := []string{"0s eth0 request 192.0.2.1", "0s eth0 reply 192.0.2.1"}; !slices.Equal(lan.frames, want) {
			t.Errorf("frames %q, want %q", lan.frames, want)
		}
		status, err := a.Status(t.Context())
		if err != nil || len(status) != 2 || status[1].Problem != "no such network interface" || status[1].Frames != 0 ||
			!status[1].Last.IsZero() || status[1].Next.IsZero() || status[0].Problem != "" {
			t.Errorf("status %+v, %v, want the problem of eth1 and a next try", status, err)
		}
		lan.mu.Lock()
		lan.frames = nil
		lan.mu.Unlock()
		lan.set("eth1", nil)
		pass(time.Second)
		if len(lan.frames) != 4 {
			t.Errorf("frames %q after the interface came, want both rounds of its burst", lan.frames)
		}
		if n := strings.Count(log.String(), "cannot announce"); n != 1 {
			t.Errorf("%d warnings for one lasting problem, want 1:\n%s", n, &log)
		}
		if !strings.Contains(log.String(), "announcing addresses again") {
			t.Errorf("no word of the recovery:\n%s", &log)
		}
	})
}

func TestANewSetTriesAFailedInterfaceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lan, stop := run(t, &bytes.Buffer{})
		defer stop()
		lan.set("eth0", errors.New("down"))
		first := map[Target]Schedule{on("eth0", "192.0.2.1"): {Burst: 1}}
		a.Set(first)
		pass(100 * ms)
		lan.set("eth0", nil)
		a.Set(first)
		pass(0)
		if want := []string{"100ms eth0 request 192.0.2.1", "100ms eth0 reply 192.0.2.1"}; !slices.Equal(lan.frames, want) {
			t.Errorf("frames %q, want %q", lan.frames, want)
		}
	})
}

func TestAPortIsReopenedWhenItsInterfaceWasReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lan, stop := run(t, &bytes.Buffer{})
		defer stop()
		a.Set(map[Target]Schedule{on("eth0", "192.0.2.1"): {Burst: 1, Refresh: 10 * time.Second}})
		pass(time.Second)
		lan.mu.Lock()
		lan.stale = true
		lan.mu.Unlock()
		pass(10 * time.Second)
		if lan.opened != 2 || lan.closed != 1 || len(lan.frames) != 4 {
			t.Errorf("opened %d, closed %d, frames %q; want 2, 1, both rounds", lan.opened, lan.closed, lan.frames)
		}
		a.Set(nil)
		pass(0)
		if lan.closed != 2 {
			t.Errorf("closed %d ports when no target is left, want 2", lan.closed)
		}
	})
}

func TestAFailureInTheMiddleOfARoundRepeatsTheRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, lan, stop := run(t, &bytes.Buffer{})
		defer stop()
		a.Set(map[Target]Schedule{on("eth0", "192.0.2.1"): {Burst: 2, Spacing: 100 * ms}})
		pass(50 * ms)
		lan.set("eth0", errors.New("network is down"))
		pass(100 * ms)
		lan.set("eth0", nil)
		pass(time.Second)
		status, err := a.Status(t.Context())
		want := []TargetStatus{{Target: on("eth0", "192.0.2.1"), Frames: 4, Last: lan.begin.Add(600 * ms)}}
		if diff := cmp.Diff(want, status, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("status: %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestStatusEndsWithItsContext(t *testing.T) {
	a := NewAnnouncer(nil, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
