package vrrpsock_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/haldir-lb/haldir/vrrp"
)

// director is a Speaker on a host's real socket. It holds the virtual address as
// the daemon would, so that the choice of the source is put to the test.
type director struct {
	*vrrp.Speaker
	*host
	stop func()

	mu          sync.Mutex
	transitions []vrrp.Transition
}

func (h *host) direct(cfg vrrp.RouterConfig) *director {
	h.Helper()
	d := &director{host: h}
	holds := make(chan bool, 100)
	d.Speaker = vrrp.NewSpeaker(h, func(t vrrp.Transition) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.transitions = append(d.transitions, t)
		holds <- t.To.Holds()
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := d.Run(ctx); err != nil {
			h.Error(err)
		}
		close(holds)
	})
	running.Go(func() {
		for hold := range holds {
			h.do(func(eth0 netlink.Link) {
				// Adding twice and deleting what is not there is no matter here.
				for _, a := range cfg.Addresses {
					if hold {
						_ = netlink.AddrAdd(eth0, h.address(a))
					} else {
						_ = netlink.AddrDel(eth0, h.address(a))
					}
				}
			})
		}
	})
	d.stop = func() {
		cancel()
		running.Wait()
	}
	h.Cleanup(d.stop)
	d.Set([]vrrp.RouterConfig{cfg}, nil)
	return d
}

func (d *director) status() vrrp.RouterStatus {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := d.Status(ctx)
	if err != nil || len(all) != 1 {
		d.Fatalf("Status = %+v, %v", all, err)
	}
	return all[0]
}

// await waits for a transition that has not been seen yet and returns it.
func (d *director) await(to vrrp.State, reason vrrp.Reason) vrrp.Transition {
	d.Helper()
	var found vrrp.Transition
	eventually(d.TB, to.String()+": "+string(reason), func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, t := range d.transitions {
			if t.To == to && t.Reason == reason {
				found, d.transitions = t, d.transitions[i+1:]
				return true
			}
		}
		return false
	})
	return found
}

func (d *director) shutdown() {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Shutdown(ctx); err != nil {
		d.Errorf("Shutdown = %v", err)
	}
}

const fast = 100 * time.Millisecond

func TestElectionOnRealSockets(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha).direct(config(200, fast)), s.host("b", beta).direct(config(100, fast))
	a.await(vrrp.Master, vrrp.ReasonMasterDown)
	eventually(t, "b to hear a", func() bool { return b.status().Received > 5 })
	if got := b.status(); got.State != vrrp.Backup || got.Master != alpha || got.Heard.Priority != 200 || len(got.Dropped) != 0 || got.Problem != "" {
		t.Errorf("status of b = %+v", got)
	}

	// A planned hand-over.
	a.shutdown()
	b.await(vrrp.Master, vrrp.ReasonMasterResigned)
	a.await(vrrp.Init, vrrp.ReasonSuccessor)
	a.stop()

	// a comes back and preempts.
	a = a.host.direct(config(200, fast))
	a.await(vrrp.Master, vrrp.ReasonMasterDown)
	b.await(vrrp.Backup, vrrp.ReasonHigherPriority)

	// a crashes; b waits for 3 intervals and its skew.
	eventually(t, "b to hear a", func() bool { return b.status().State == vrrp.Backup && b.status().Master == alpha })
	a.stop()
	crashed := time.Now()
	took := b.await(vrrp.Master, vrrp.ReasonMasterDown).At.Sub(crashed)
	if down := vrrp.MasterDownInterval(100, fast); took < down-fast-10*time.Millisecond || took > down+time.Second {
		t.Errorf("takeover after %v, want about %v", took, down)
	}
	if got := b.status().Source; got != beta {
		t.Errorf("source with the virtual address held = %v, want %v", got, beta)
	}
}

func TestCableOnRealSockets(t *testing.T) {
	s := newSegment(t)
	a, b := s.host("a", alpha).direct(config(200, fast)), s.host("b", beta).direct(config(100, fast))
	a.await(vrrp.Master, vrrp.ReasonMasterDown)
	b.await(vrrp.Backup, vrrp.ReasonStart)
	a.cable(false)
	b.await(vrrp.Master, vrrp.ReasonMasterDown)
	a.await(vrrp.Init, vrrp.ReasonLinkDown)
	if got := a.status().Problem; got == "" {
		t.Error("no problem is shown for an interface without carrier")
	}
	a.cable(true)
	a.await(vrrp.Backup, vrrp.ReasonLinkUp)
	a.await(vrrp.Master, vrrp.ReasonMasterDown)
	b.await(vrrp.Backup, vrrp.ReasonHigherPriority)
}
