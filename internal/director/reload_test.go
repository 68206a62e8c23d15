package director

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// TestReloadKeepsThePool: a server whose judgement the new configuration has no
// name for is not thrown out until somebody has looked.
func TestReloadKeepsThePool(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"service renamed":    func(c *config.Config) { c.Services[0].Name = "site" },
		"other port checked": func(c *config.Config) { c.Services[0].Checks[0].Port = 8080 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := running(t)
				defer n.end()
				next := pairConfig("lvs1")
				change(next)
				n.reload(next)
				settle(20 * time.Second)
				wantCalls(t, n.host, "after the reload")
			})
		})
	}
}

// TestFirstServiceNeedsIPVS: the kernel may lack it, and the reload says so
// before anything has changed.
func TestFirstServiceNeedsIPVS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) { n.config.Services = nil })
		defer n.end()
		settle(2 * election)
		n.host.did()
		n.host.noTable = ipvsctl.ErrUnavailable
		n.file(pairConfig("lvs1"), nil)
		result, err := n.director.Reload(t.Context())
		if err != nil || result.Applied || len(result.Errors) != 1 || !strings.Contains(result.Errors[0], ipvsctl.ErrUnavailable.Error()) {
			t.Errorf("reload: %+v, %v, want it refused for want of ip_vs", result, err)
		}
		settle(20 * time.Second)
		wantCalls(t, n.host, "after the refused reload")
		if n.host.sysctls != nil {
			t.Errorf("sysctls were changed: %v", n.host.sysctls)
		}
	})
}

// TestRefusedSysctlsAreTakenBack: some may have been written before one was
// refused.
func TestRefusedSysctlsAreTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		before := slices.Clone(n.host.sysctls)
		n.host.refuseSome = func(all []netif.Sysctl) error {
			if len(all) > len(before) {
				return errTest
			}
			return nil
		}
		next := pairConfig("lvs1")
		next.Services[0].Forward = "nat"
		n.file(next, nil)
		if result, err := n.director.Reload(t.Context()); err != nil || result.Applied {
			t.Errorf("reload: %+v, %v, want it refused", result, err)
		}
		if !slices.Equal(n.host.sysctls, before) {
			t.Errorf("sysctls %v, want %v", n.host.sysctls, before)
		}
	})
}

// TestConfigurationThatCannotBeWrittenDownIsReadFromTheFilesAfterACrash: an
// older one that was written down must not come back.
func TestConfigurationThatCannotBeWrittenDownIsReadFromTheFilesAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		// A folder in the way stands for a disk that is full.
		if err := os.Mkdir(filepath.Join(n.runDir, "config.json.new"), 0o755); err != nil {
			t.Fatal(err)
		}
		next := pairConfig("lvs1")
		next.Services[0].Real[0].Weight = 7
		n.reload(next)
		n.killDirector()
		n.startDirector()
		settle(20 * time.Second)
		live, _ := n.host.Table(t.Context())
		if len(live) != 1 || len(live[0].Dests) != 1 || live[0].Dests[0].Weight != 7 {
			t.Errorf("table %v, want the weight of the reload, 7", live)
		}
	})
}

// TestReloadsThatNobodyWaitsForEnd: a disk that hangs must not gather them.
func TestReloadsThatNobodyWaitsForEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		disk := make(chan struct{})
		load := n.director.Load
		n.director.Load = func(before *config.Config) (*config.Config, error) { <-disk; return load(before) }
		first := make(chan error, 1)
		go func() { _, err := n.director.Reload(t.Context()); first <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second := make(chan error, 1)
		go func() { _, err := n.director.Reload(ctx); second <- err }()
		settle(2 * time.Second)
		select {
		case err := <-second:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the second reload ended with %v, want %v", err, context.DeadlineExceeded)
			}
		default:
			t.Error("the second reload still waits for the first")
		}
		close(disk)
		if err := <-first; err != nil {
			t.Errorf("the first reload: %v", err)
		}
		synctest.Wait()
	})
}

// TestFullDiskKeepsServing: what is written down is for a later process; the
// servers of this one must follow their health all the same.
func TestFullDiskKeepsServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			if err := os.Mkdir(filepath.Join(n.runDir, "services.json.new"), 0o755); err != nil {
				t.Fatal(err)
			}
		})
		defer n.end()
		settle(time.Second)
		n.judge(web1, "up")
		settle(election)
		if !n.forwards() {
			t.Error("the master does not forward")
		}
		status, err := n.director.Status(t.Context())
		if err != nil || !slices.ContainsFunc(status.Problems, func(p string) bool { return strings.Contains(p, "services.json") }) {
			t.Errorf("problems %q, %v, want one with services.json", status.Problems, err)
		}
	})
}

// TestVerdictOnAServerThatIsNoLongerConfigured: it may have been on its way
// during the reload.
func TestVerdictOnAServerThatIsNoLongerConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		next := pairConfig("lvs1")
		next.Services[0].Real = next.Services[0].Real[:1]
		n.reload(next)
		n.judge(web2, "up")
		settle(time.Second)
		n.host.did()
		n.reload(pairConfig("lvs1"))
		settle(time.Second)
		wantCalls(t, n.host, "with the server back, which nobody has checked since")
	})
}

// TestServicesOfARouterOfOthersGo: of a router in which this node has no
// priority, another node is the master.
func TestServicesOfARouterOfOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := alone(t, func(n *node) {
			n.config.VRRP[0].Priority = 0
			if err := statefile.Save(filepath.Join(n.runDir, "services.json"), recorded{Services: []ipvsctl.ServiceKey{webKey}}); err != nil {
				t.Fatal(err)
			}
			if _, err := n.host.SetTable(t.Context(), ipvsctl.Table{{Key: webKey, Scheduler: "wlc"}}, nil); err != nil {
				t.Fatal(err)
			}
		})
		defer n.end()
		settle(20 * time.Second)
		if live, _ := n.host.Table(t.Context()); len(live) != 0 {
			t.Errorf("services are still in the kernel: %v", live)
		}
	})
}

// TestDirectorThatIsStoppedAloneComesBack: whatever sends it SIGTERM, the node
// takes part again.
func TestDirectorThatIsStoppedAloneComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := running(t)
		defer n.end()
		if err := n.stopDirector(); err != nil {
			t.Fatal(err)
		}
		n.killDirector()
		n.startDirector()
		select {
		case <-n.speakerEnded:
		case <-time.After(10 * time.Second):
			t.Fatal("the speaker, which has stopped for good, does not make room for another one")
		}
		n.killSpeaker()
		setDied(t, time.Now())
		n.startSpeaker()
		settle(20 * time.Second)
		if state, _ := n.role(); state != vrrp.Master || !n.holds() {
			t.Errorf("state %v, address held %v, want master with its address", state, n.holds())
		}
	})
}
