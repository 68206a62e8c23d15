package speaker

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp"
	"github.com/haldir-lb/haldir/vrrp/vrrptest"
)

var (
	own  = netip.MustParseAddr("192.0.2.1")
	peer = netip.MustParseAddr("192.0.2.2")
	vip  = netip.MustParseAddr("192.0.2.100")
)

func router(priority uint8) vrrp.RouterConfig {
	return vrrp.RouterConfig{
		Name: "edge", Interface: "eth0", VRID: 51, Priority: priority, Interval: time.Second, Preempt: true,
		Addresses: []netip.Addr{vip},
	}
}

// rig is a speaker in a bubble of fake time, with the director's end of its link.
type rig struct {
	t        *testing.T
	lan      *vrrptest.LAN
	director process.Link
	orphaned chan struct{}
	stop     context.CancelFunc
	ended    chan error
	log      *journal

	mu      sync.Mutex
	adverts []byte // priorities of those of this speaker; guarded by mu
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// take returns what was written since the last call.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.text.Reset()
	return j.text.String()
}

// play runs a test with a speaker that has said hello.
func play(t *testing.T, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		director, link := process.Pipe()
		ctx, stop := context.WithCancel(context.Background())
		r := &rig{
			t: t, lan: vrrptest.NewLAN(), director: director, orphaned: make(chan struct{}), stop: stop,
			ended: make(chan error, 1), log: new(journal),
		}
		r.lan.Tap(func(f vrrptest.Frame) {
			if f.From == "own" {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.adverts = append(r.adverts, f.Message[2])
			}
		})
		host := r.lan.Host("own", "eth0", own)
		log := slog.New(slog.NewTextHandler(r.log, nil))
		go func() { r.ended <- Run(ctx, link, host, r.orphaned, log) }()
		hello := decode[process.Hello](r, r.next(process.KindHello))
		if hello.PID != os.Getpid() {
			t.Errorf("the hello is of process %d, want %d", hello.PID, os.Getpid())
		}
		test(r)
		_ = director.Close()
		_ = link.Close()
		stop()
		<-r.ended
	})
}

func (r *rig) send(kind string, body any) {
	r.t.Helper()
	if err := r.director.Send(kind, "", body); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// next receives a message, which must be of that kind.
func (r *rig) next(kind string) process.Message {
	r.t.Helper()
	m, ok := <-r.director.Receive()
	if !ok || m.Kind != kind {
		r.t.Fatalf("received %q (%v), want %q", m.Kind, ok, kind)
	}
	return m
}

func decode[T any](r *rig, m process.Message) T {
	r.t.Helper()
	var v T
	if err := m.Decode(&v); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (r *rig) wantTransition(to vrrp.State, reason vrrp.Reason) {
	r.t.Helper()
	got := decode[vrrp.Transition](r, r.next(KindTransition))
	if got.Router != "edge" || got.To != to || got.Reason != reason || !got.At.Equal(time.Now()) {
		r.t.Fatalf("transition of %s to %v (%s) at %v, want edge to %v (%s) now", got.Router, got.To, got.Reason, got.At, to, reason)
	}
}

// master configures a router and lets it become master.
func (r *rig) master() {
	r.t.Helper()
	r.send(KindConfigure, Configure{Routers: []vrrp.RouterConfig{router(200)}})
	r.wantTransition(vrrp.Backup, vrrp.ReasonStart)
	r.wantTransition(vrrp.Master, vrrp.ReasonMasterDown)
	synctest.Wait()
}

// priorities returns those of the adverts since the last call.
func (r *rig) priorities() []byte {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.adverts
	r.adverts = nil
	return all
}

// end waits for the end of the speaker.
func (r *rig) end() error {
	err := <-r.ended
	r.ended <- err
	return err
}

// backup puts another speaker on the LAN that takes over when it may.
func (r *rig) backup() {
	s := vrrp.NewSpeaker(r.lan.Host("peer", "eth0", peer), func(vrrp.Transition) {}, slog.New(slog.DiscardHandler))
	s.Set([]vrrp.RouterConfig{router(100)}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	r.t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
}

func TestHelloIsAnsweredWithTheState(t *testing.T) {
	play(t, func(r *rig) {
		r.send(process.KindHello, process.Hello{PID: 1})
		if s := decode[State](r, r.next(KindState)); s.Configured || len(s.Routers) != 0 || !s.At.Equal(time.Now()) {
			t.Errorf("a speaker that was told nothing says %+v", s)
		}
		r.master()
		r.send(process.KindHello, process.Hello{PID: 2})
		s := decode[State](r, r.next(KindState))
		if !s.Configured || len(s.Routers) != 1 || s.Routers[0].Name != "edge" || s.Routers[0].State != vrrp.Master || s.Routers[0].Source != own {
			t.Errorf("a master says %+v", s)
		}
	})
}

func TestStatusRequestIsAnsweredUnderItsNumber(t *testing.T) {
	play(t, func(r *rig) {
		r.send(KindStatusRequest, StatusRequest{ID: 7})
		if s := decode[State](r, r.next(KindStatus)); s.ID != 7 {
			t.Errorf("the answer has number %d, want 7", s.ID)
		}
	})
}

func TestConfiguredRouterRunsOnTheWire(t *testing.T) {
	play(t, func(r *rig) {
		began := time.Now()
		r.master()
		if took, want := time.Since(began), vrrp.MasterDownInterval(200, time.Second); took != want {
			t.Errorf("master after %v, want %v", took, want)
		}
		time.Sleep(2500 * time.Millisecond)
		if got := r.priorities(); !slices.Equal(got, []byte{200, 200, 200}) {
			t.Errorf("adverts of priorities %v, want three of 200", got)
		}
	})
}

func TestSuccessorOfADeadSpeakerGoesOn(t *testing.T) {
	play(t, func(r *rig) {
		r.send(KindConfigure, Configure{
			Routers: []vrrp.RouterConfig{router(200)},
			Resume:  map[string]vrrp.Resume{"edge": {State: vrrp.Master, Since: time.Now().Add(-time.Hour), Silent: time.Millisecond}},
		})
		r.wantTransition(vrrp.Master, vrrp.ReasonResumed)
		if got := r.priorities(); !slices.Equal(got, []byte{200}) {
			t.Errorf("adverts of priorities %v, want one of 200 at once", got)
		}
	})
}

func TestLinkNewsMoveTheRouters(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.send(KindLink, Link{Interface: "eth0"})
		r.wantTransition(vrrp.Init, vrrp.ReasonLinkDown)
		r.send(KindLink, Link{Interface: "eth0", Up: true})
		r.wantTransition(vrrp.Backup, vrrp.ReasonLinkUp)
	})
}

func TestRouterOnAnInterfaceThatIsDownDoesNotStart(t *testing.T) {
	play(t, func(r *rig) {
		r.send(KindConfigure, Configure{Routers: []vrrp.RouterConfig{router(200)}, Down: []string{"eth0"}})
		time.Sleep(time.Minute)
		if got := r.priorities(); len(got) != 0 {
			t.Errorf("adverts of priorities %v on an interface that is down", got)
		}
		r.send(KindStatusRequest, StatusRequest{})
		if s := decode[State](r, r.next(KindStatus)); s.Routers[0].State != vrrp.Init {
			t.Errorf("the router is %v, want init", s.Routers[0].State)
		}
	})
}

func TestShutdownIsAnsweredAfterTheHandOver(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.backup()
		r.priorities()
		r.send(KindShutdown, struct{}{})
		if got := r.priorities(); !slices.Equal(got, []byte{0}) {
			t.Errorf("adverts of priorities %v, want one of 0 at once", got)
		}
		r.wantTransition(vrrp.Leaving, vrrp.ReasonShutdown)
		r.send(KindStatusRequest, StatusRequest{}) // it still answers
		r.next(KindStatus)
		r.wantTransition(vrrp.Init, vrrp.ReasonSuccessor)
		r.next(KindStopped)
		select {
		case err := <-r.ended:
			t.Errorf("the speaker ended by itself: %v", err)
		default: // the supervisor ends it
		}
	})
}

func TestShutdownWithoutRoutersIsAnsweredAtOnce(t *testing.T) {
	play(t, func(r *rig) {
		began := time.Now()
		r.send(KindShutdown, struct{}{})
		r.next(KindStopped)
		if took := time.Since(began); took != 0 {
			t.Errorf("answered after %v", took)
		}
	})
}

func TestEndOfTheContextHandsOver(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.priorities()
		began := time.Now()
		r.stop()
		if err := r.end(); err != nil {
			t.Errorf("Run = %v", err)
		}
		if got := r.priorities(); !slices.Equal(got, []byte{0}) {
			t.Errorf("adverts of priorities %v, want one of 0", got)
		}
		if took, want := time.Since(began), vrrp.HandoverBound(time.Second); took != want {
			t.Errorf("without a successor it ended after %v, want %v", took, want)
		}
	})
}

func TestOrphanLeavesTheStopToTheDirector(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.priorities()
		close(r.orphaned)
		time.Sleep(orphanGrace - 100*time.Millisecond)
		if got := r.priorities(); len(got) != 4 || slices.Contains(got, 0) {
			t.Errorf("adverts of priorities %v within the grace, want the usual ones", got)
		}
		r.send(KindShutdown, struct{}{})
		r.wantTransition(vrrp.Leaving, vrrp.ReasonShutdown)
		r.wantTransition(vrrp.Init, vrrp.ReasonHandoverTimeout)
		r.next(KindStopped)
		if err := r.end(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestOrphanHandsOverItselfAfterTheGrace(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.backup()
		began := time.Now()
		close(r.orphaned)
		r.wantTransition(vrrp.Leaving, vrrp.ReasonShutdown)
		if took := time.Since(began); took != orphanGrace {
			t.Errorf("resigned after %v, want %v", took, orphanGrace)
		}
		r.wantTransition(vrrp.Init, vrrp.ReasonSuccessor)
		if err := r.end(); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestSpeakerThatIsLeftAloneHandsOverAtOnce(t *testing.T) {
	play(t, func(r *rig) {
		r.master()
		r.priorities()
		_ = r.director.Close()
		synctest.Wait()
		if got := r.priorities(); !slices.Equal(got, []byte{0}) {
			t.Errorf("adverts of priorities %v, want one of 0 at once", got)
		}
		if err := r.end(); !errors.Is(err, process.ErrClosed) {
			t.Errorf("Run = %v, want %v", err, process.ErrClosed)
		}
	})
}

func TestStrangeMessagesDoNoHarm(t *testing.T) {
	for _, test := range []struct {
		name, kind, body, log string
	}{
		{"unknown kind", "dance", `{}`, `unknown kind`},
		{"no kind", "", `{}`, `unknown kind`},
		{"configuration of another shape", KindConfigure, `"everything"`, "decoding"},
		{"router of another shape", KindConfigure, `{"routers":[{"vrid":"51"}]}`, "decoding"},
		{"VRID out of range", KindConfigure, `{"routers":[{"vrid":256}]}`, "decoding"},
		{"link of another shape", KindLink, `[]`, "decoding"},
		{"request of another shape", KindStatusRequest, `{"id":-1}`, "decoding"},
		{"news of an interface that nobody uses", KindLink, `{"interface":"eth7"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(r *rig) {
				r.master()
				r.priorities()
				r.log.take()
				r.send(test.kind, json.RawMessage(test.body))
				if log := r.log.take(); !strings.Contains(log, test.log) || (test.log == "") != (log == "") {
					t.Errorf("the log says %q, want %q", log, test.log)
				}
				time.Sleep(1500 * time.Millisecond)
				if got := r.priorities(); !slices.Equal(got, []byte{200}) && !slices.Equal(got, []byte{200, 200}) {
					t.Errorf("adverts of priorities %v, want the usual ones", got)
				}
			})
		})
	}
}

func TestRouterThatCannotBeIsShownAndHarmsNoOther(t *testing.T) {
	play(t, func(r *rig) {
		bad := router(0)
		bad.Name, bad.VRID = "bad", 0
		r.send(KindConfigure, Configure{Routers: []vrrp.RouterConfig{router(200), bad}})
		r.wantTransition(vrrp.Backup, vrrp.ReasonStart)
		r.send(KindStatusRequest, StatusRequest{})
		s := decode[State](r, r.next(KindStatus))
		if len(s.Routers) != 2 || s.Routers[0].Name != "bad" || s.Routers[0].Problem == "" || s.Routers[1].Problem != "" {
			t.Errorf("the speaker says %+v, want a problem of the bad router alone", s.Routers)
		}
	})
}
