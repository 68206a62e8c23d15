package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// moving is what comes and goes with the addresses of the test's router.
const moving = `
also = ["198.51.100.7/32 dev lan label lan:also"]
routes = ["default via 192.0.2.254 dev lan src 192.0.2.100 table 100", "203.0.113.0/24 via 192.0.2.254"]
rules = ["from 192.0.2.100 lookup 100 priority 1000"]
`

// ip runs the ip command in the machine's namespace.
func (m *machine) ip(args ...string) string {
	m.t.Helper()
	var out []byte
	var err error
	m.ns.Do(m.t, func() { out, err = exec.Command("ip", args...).CombinedOutput() })
	if err != nil {
		m.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// until polls a condition of the machine.
func (m *machine) until(what string, holds func() bool) {
	m.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	bound := time.After(patience)
	for !holds() {
		select {
		case <-ticker.C:
		case <-bound:
			m.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func (m *machine) append(text string) {
	m.t.Helper()
	old, err := os.ReadFile(m.config)
	if err == nil {
		err = os.WriteFile(m.config, append(old, text...), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestExtraAddressesRoutesAndRulesMoveWithTheRouter(t *testing.T) {
	m := newMachine(t)
	m.append(moving)
	before := m.ip("-4", "address") + m.ip("-4", "route", "show", "table", "all") + m.ip("rule")
	cmd, output := m.start(nil, m.runArgs(m.config)...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	m.master(whatever)
	m.until("the routes", func() bool { return strings.Contains(m.ip("rule"), "1000:") })
	for args, want := range map[string]string{
		"-4 address show dev lan": "inet 198.51.100.7/32 scope global lan:also",
		"route show table 100":    "default via 192.0.2.254 dev lan proto 72 scope global src 192.0.2.100",
		"route show proto 72":     "203.0.113.0/24 via 192.0.2.254 dev lan",
		"rule show":               "1000:\tfrom 192.0.2.100 lookup 100 proto 72",
	} {
		if got := m.ip(append([]string{"-d"}, strings.Fields(args)...)...); !strings.Contains(got, want) {
			t.Errorf("ip -d %s = %q, want %q", args, got, want)
		}
	}
	status := m.master(func(s control.Status) bool { return len(s.Routers[0].Addresses) == 2 })
	if a := status.Routers[0].Addresses[1]; !a.Extra || a.Address != "198.51.100.7/32" || a.Present == nil || !*a.Present {
		t.Errorf("address %+v, want it present and marked as not advertised", a)
	}

	// Somebody takes an address away, again and again: it is put back, and said.
	for range fightsShown {
		m.ip("address", "del", "192.0.2.100/24", "dev", "lan")
		m.until("the address to be put back", func() bool { return slices.Contains(m.addresses(), "192.0.2.100/24") })
	}
	m.until("the fight to be told", func() bool {
		text := strings.Join(m.master(whatever).Problems, "\n")
		return strings.Contains(text, "another program keeps removing 192.0.2.100/24 from lan")
	})

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("after SIGTERM haldir ended with %v: %s", err, output)
		}
	case <-time.After(patience):
		t.Fatal("SIGTERM does not end it")
	}
	if after := m.ip("-4", "address") + m.ip("-4", "route", "show", "table", "all") + m.ip("rule"); after != before {
		t.Errorf("after the end:\n%s\nbefore the start:\n%s", after, before)
	}
}

// fightsShown is more removals than it takes to be called a problem.
const fightsShown = 4

func TestCleanupTakesRoutesAwayToo(t *testing.T) {
	m := newMachine(t)
	m.append(moving)
	rules := m.ip("rule")
	cmd, _ := m.start(nil, m.runArgs(m.config)...)
	processes := pids(m.master(whatever))
	m.until("the routes", func() bool { return m.ip("rule") != rules })
	killAll(t, processes)
	_ = cmd.Wait()
	if status, output := m.run(nil, "cleanup", "--run-dir", m.runDir); status != exitDone {
		t.Errorf("cleanup: exit status %d, %q", status, output)
	}
	if got := m.ip("rule"); got != rules {
		t.Errorf("after the cleanup the rules are %q, want %q", got, rules)
	}
	if got := m.ip("route", "show", "proto", "72"); got != "" {
		t.Errorf("after the cleanup there is %q", got)
	}
}
