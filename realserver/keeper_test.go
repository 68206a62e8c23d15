package realserver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
)

const ignoreAll = "net/ipv4/conf/all/arp_ignore"

// kept is a Keeper at work on a fake host, in a bubble.
type kept struct {
	bench
	keeper   *Keeper
	t        *testing.T
	config   *config.Config
	refusal  error
	stamp    string
	host     Host
	changed  func() // as by an event
	reloads  chan os.Signal
	ready    bool
	summary  string
	draining bool
	ended    chan error
	stop     context.CancelFunc
}

// keep runs a story in a bubble, with the keeper of a real server with DR at
// work, if it can be.
func keep(t *testing.T, prepare func(*kept), story func(*kept)) {
	synctest.Test(t, func(t *testing.T) {
		k := &kept{
			bench: newBench(t), t: t, stamp: "1", reloads: make(chan os.Signal), ended: make(chan error, 1),
			config: cluster(service("web", "dr", "192.0.2.100:80", "192.0.2.11")), host: host("eth0", "192.0.2.11"),
		}
		k.config.Services[0].Protocol = "tcp"
		k.keeper = &Keeper{
			Runner: k.Runner,
			Load: func() (*config.Config, error) {
				k.takeTurn()
				return k.config, k.refusal
			},
			Stamp: func() (string, error) {
				k.takeTurn()
				return k.stamp, nil
			},
			Host: func() (Host, error) {
				k.takeTurn()
				return k.host, nil
			},
			Watch: func(ctx context.Context, changed func()) error {
				k.changed = changed
				<-ctx.Done()
				return nil
			},
			Ready: func() { k.ready = true }, Tell: func(s string) { k.summary = s }, Draining: func() { k.draining = true },
			Reloading: func() { k.ready = false }, Alive: func() {},
		}
		before := k.String()
		prepare(k)
		ctx, stop := context.WithCancel(t.Context())
		k.stop = stop
		go func() { k.ended <- k.keeper.Run(ctx, k.reloads) }()
		synctest.Wait()
		story(k)
		stop()
		if err := <-k.ended; err == nil && !k.keeper.Leave && before != k.String() {
			t.Errorf("at the end the host is\n%s\nwant\n%s", k.String(), before)
		}
	})
}

func asItIs(*kept) {}

// after lets time pass.
func (k *kept) after(d time.Duration) {
	k.takeTurn()
	time.Sleep(d)
	synctest.Wait()
}

// event tells the keeper that a link or an address has changed.
func (k *kept) event() {
	k.takeTurn()
	k.changed()
	synctest.Wait()
}

func (k *kept) holds(vip string) bool {
	return slices.ContainsFunc(k.addresses, func(p netif.PresentAddress) bool { return p.Prefix.Addr().String() == vip })
}

func (k *kept) expect(when string, vips ...string) {
	k.t.Helper()
	for _, vip := range []string{"192.0.2.100", "192.0.2.101"} {
		if got, want := k.holds(vip), slices.Contains(vips, vip); got != want {
			k.t.Errorf("%s: the host has %s: %v, want %v", when, vip, got, want)
		}
	}
	if got, want := k.sysctls[ignoreAll] == "1", len(vips) > 0; got != want {
		k.t.Errorf("%s: arp_ignore = %s with %v", when, k.sysctls[ignoreAll], vips)
	}
}

func (k *kept) written() Record {
	k.t.Helper()
	record, err := LoadRecord(k.StateDir)
	if err != nil {
		k.t.Error(err)
	}
	return record
}

func TestTheKeeperRepairsWithinASecond(t *testing.T) {
	keep(t, asItIs, func(k *kept) {
		if !k.ready || k.summary != "real server of web" {
			t.Errorf("ready = %v, summary %q", k.ready, k.summary)
		}
		k.expect("after the start", "192.0.2.100")

		// The kernel announces no change of a sysctl.
		k.sysctls[ignoreAll] = "0"
		k.onChange = nil
		k.after(time.Second)
		k.expect("a second after arp_ignore went", "192.0.2.100")

		k.addresses = slices.DeleteFunc(k.addresses, func(p netif.PresentAddress) bool { return p.Interface == "lo" && p.Ours })
		k.event()
		k.expect("at the event of its loss", "192.0.2.100")

		if r := k.written(); r.Repairs != 2 || r.Repaired != "address 192.0.2.100/32 on lo was absent" || r.PID != os.Getpid() ||
			!slices.Equal(r.Services, []string{"web"}) || r.Problem != "" {
			t.Errorf("record %+v", r)
		}
	})
}

func TestTheKeeperIsNoMatchForOneWhoIsFaster(t *testing.T) {
	keep(t, asItIs, func(k *kept) {
		// Whatever it adds is taken away again at once, with an event.
		fights := 0
		k.onChange = func() {
			k.addresses = slices.DeleteFunc(k.addresses, func(p netif.PresentAddress) bool { return p.Interface == "lo" && p.Ours })
			fights++
			k.changed()
		}
		k.addresses = slices.DeleteFunc(k.addresses, func(p netif.PresentAddress) bool { return p.Interface == "lo" && p.Ours })
		k.event()
		k.after(10 * time.Second)
		if fights < 5 || fights > 40 {
			t.Errorf("%d attempts in ten seconds, want some each second and no storm", fights)
		}
		if r := k.written(); !strings.Contains(r.Problem, "address 192.0.2.100/32 on lo: it should be") || !strings.Contains(k.summary, r.Problem) {
			t.Errorf("record %+v, summary %q", r, k.summary)
		}
		k.onChange = nil
		k.after(time.Second)
		k.expect("after the other one gave up", "192.0.2.100")
		if r := k.written(); r.Problem != "" || k.summary != "real server of web" {
			t.Errorf("afterwards: record %+v, summary %q", r, k.summary)
		}
	})
}

func TestTheKeeperFollowsTheConfiguration(t *testing.T) {
	keep(t, asItIs, func(k *kept) {
		other := cluster(service("dns", "dr", "192.0.2.101:53", "192.0.2.11"))
		k.config, k.stamp = other, "2"
		k.after(2 * time.Second)
		k.expect("after the files changed", "192.0.2.101")

		k.config, k.refusal, k.stamp = nil, errors.New("haldir.toml:1:1: wrong"), "3"
		k.after(2 * time.Second)
		k.expect("after a configuration that is refused", "192.0.2.101")
		if r := k.written(); r.Refused != "haldir.toml:1:1: wrong" || !strings.Contains(k.summary, "haldir.toml:1:1: wrong") {
			t.Errorf("refused: record %+v, summary %q", r, k.summary)
		}

		k.config, k.refusal = cluster(service("web", "dr", "192.0.2.100:80", "192.0.2.11")), nil
		k.reloads <- syscall.SIGHUP
		synctest.Wait()
		k.expect("after SIGHUP", "192.0.2.100")
		if r := k.written(); r.Refused != "" || !slices.Equal(r.Services, []string{"web"}) {
			t.Errorf("after SIGHUP: record %+v", r)
		}

		k.config, k.stamp = cluster(service("web", "dr", "192.0.2.100:80", "192.0.2.12")), "4"
		k.after(2 * time.Second)
		k.expect("after no service names the host")
		if r := k.written(); !strings.HasPrefix(r.Idle, ErrNoService.Error()) || k.summary != r.Idle {
			t.Errorf("idle: record %+v, summary %q", r, k.summary)
		}
	})
}

func TestTheKeeperFollowsTheHostsOwnAddresses(t *testing.T) {
	keep(t, func(k *kept) { k.host = Host{} }, func(k *kept) {
		if !k.ready {
			t.Error("it is not ready on a host that no service names yet")
		}
		k.expect("before the host has its address")
		there := host("eth0", "192.0.2.11")
		k.host = there
		k.event()
		k.expect("when it has", "192.0.2.100")

		k.host = Host{}
		k.event()
		k.after(2 * time.Second)
		k.expect("two seconds after it lost it", "192.0.2.100")
		k.host = there
		k.event()
		k.after(10 * time.Second)
		k.expect("after it came back", "192.0.2.100")

		k.host = Host{}
		k.event()
		k.after(5 * time.Second)
		k.expect("five seconds after it lost it")
	})
}

func TestTheFirstFailureEndsTheKeeperAndNoLaterOne(t *testing.T) {
	keep(t, func(k *kept) { k.readOnly = true }, func(k *kept) {
		if err := <-k.ended; !errors.Is(err, syscall.EROFS) || k.ready {
			t.Errorf("Run = %v, ready = %v; want %v before it is ready", err, k.ready, syscall.EROFS)
		}
		k.ended <- errors.New("seen")
	})
	keep(t, asItIs, func(k *kept) {
		k.addError = errors.New("the disk of addresses is full")
		k.config, k.stamp = cluster(service("dns", "dr", "192.0.2.101:53", "192.0.2.11")), "2"
		k.after(2 * time.Second)
		if r := k.written(); !strings.Contains(r.Problem, k.addError.Error()) {
			t.Errorf("record %+v", r)
		}
		k.addError = nil
		k.after(time.Second)
		k.expect("after it can be done", "192.0.2.101")
	})
}

func TestWhatTheKeeperLeaves(t *testing.T) {
	one := netif.Connection{Local: netip.MustParseAddrPort("192.0.2.100:80"), Remote: netip.MustParseAddrPort("198.51.100.7:4000")}
	t.Run("nothing", func(t *testing.T) {
		keep(t, asItIs, func(k *kept) {
			k.open = []netif.Connection{one} // which it does not wait for
			k.stop()
			synctest.Wait()
			k.expect("after the end")
			if left := k.files(); len(left) != 0 || k.draining {
				t.Errorf("left %v, draining = %v", left, k.draining)
			}
		})
	})
	t.Run("everything", func(t *testing.T) {
		keep(t, func(k *kept) { k.keeper.Leave = true }, func(k *kept) {
			k.stop()
			synctest.Wait()
			k.expect("after the end", "192.0.2.100")
		})
	})
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprintf("when connections end=%v", ends), func(t *testing.T) {
			keep(t, func(k *kept) { k.keeper.Drain = time.Minute }, func(k *kept) {
				k.open = []netif.Connection{one}
				k.stop()
				k.after(50 * time.Second)
				k.expect("while there is a connection", "192.0.2.100")
				if !k.draining || k.summary != "draining: 1 connections" {
					t.Errorf("draining = %v, summary %q", k.draining, k.summary)
				}
				// It goes on keeping.
				k.sysctls[ignoreAll] = "0"
				k.after(time.Second)
				k.expect("after a repair", "192.0.2.100")
				if ends {
					k.open = nil
					k.after(time.Second)
				} else {
					k.after(10 * time.Second)
				}
				k.expect("after the end")
			})
		})
	}
}
