package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/lab/guest"
)

// ownPort is that of a service whose real server is the director itself, oddPort
// that of one whose scheduler the kernel does not have at first.
const (
	ownPort      = 8007
	oddPort      = 8008
	oddScheduler = "ovf"
)

// tableServices are what tableStory needs of the configuration.
func tableServices(spec Spec) string {
	return fmt.Sprintf(`
[[service]]
name = "own"
listen = ["%[1]s:%[2]d"]
real = [{ address = "local" }]

[[service]]
name = "odd"
listen = ["%[1]s:%[3]d"]
scheduler = "%[4]s"
real = [{ address = "%[5]s" }]

[ipvs.timeouts]
tcp = "2h"
`, spec.VIP(), ownPort, oddPort, oddScheduler, host(ipv4.segment, hostReal))
}

// hideScheduler takes a scheduler's module away, as far as that is for a test to do,
// and returns how to bring it back.
func hideScheduler(t *testing.T) (hidden bool, back func() error) {
	t.Helper()
	release, inside := guest.Inside()
	if !inside {
		return false, nil
	}
	_ = unix.DeleteModule("ip_vs_"+oddScheduler, unix.O_NONBLOCK)
	file := filepath.Join("/lib/modules", release, "kernel/net/netfilter/ipvs/ip_vs_"+oddScheduler+".ko")
	if err := os.Rename(file, file+".hidden"); err != nil {
		t.Fatal(err)
	}
	done := false
	back = func() error {
		if done {
			return nil
		}
		done = true
		return os.Rename(file+".hidden", file)
	}
	t.Cleanup(func() { _ = back() })
	return true, back
}

// ipvsadm runs the program on a node.
func (n *Node) ipvsadm(args ...string) (out string, err error) {
	err = n.Do(func() error {
		b, err := exec.Command("ipvsadm", args...).CombinedOutput()
		out = string(b)
		if err != nil {
			return fmt.Errorf("ipvsadm %s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	})
	return out, err
}

// rules is the table as ipvsadm would write it, sorted, without the held service,
// of whose servers some are about to leave.
func (n *Node) rules() ([]string, error) {
	out, err := n.ipvsadm("-S", "-n")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, fmt.Sprintf(":%d ", heldPort)) })
	slices.Sort(lines)
	return lines, err
}

// connectionsOf are the connections that the kernel has counted for a service.
func connectionsOf(status control.Status, name string) uint64 {
	for _, s := range status.Services {
		if s.Name == name && s.Stats != nil {
			return s.Stats.Connections
		}
	}
	return 0
}

// tableStory meddles with the table of a running director, kills the director,
// and takes ip_vs itself away.
func tableStory(ctx context.Context, t *testing.T, c *Cluster, hidden bool, back func() error) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	d1 := c.Node("d1")
	status := func() control.Status {
		t.Helper()
		s, err := d1.Status(ctx)
		must(err)
		return s
	}
	own, err := d1.greet(ownPort)
	must(err)
	defer func() { _ = own.Close() }()
	callOwn := func(context.Context) error {
		conn, by, err := c.call(ownPort)
		if err != nil {
			return err
		}
		if by != "d1" {
			return fmt.Errorf("%s answered, not the director itself", by)
		}
		return hangUp(conn)
	}
	must(Await(ctx, "the director to answer itself", callOwn))

	// What the kernel cannot load hinders its own service alone, until it can.
	if hidden {
		text := strings.Join(status().Problems, "\n")
		for _, word := range []string{`service "odd"`, "ip_vs_" + oddScheduler, "no such scheduler"} {
			if !strings.Contains(text, word) {
				t.Errorf("the problems do not say %q:\n%s", word, text)
			}
		}
		must(back())
	}
	must(Await(ctx, "every service to be loaded", func(ctx context.Context) error { return d1.allLoaded(ctx) }))

	timeouts, err := d1.ipvsadm("-L", "--timeout")
	must(err)
	if !strings.Contains(timeouts, ": 7200 ") {
		t.Errorf("ipvsadm says %q, want 7200 s for tcp", timeouts)
	}

	// Somebody meddles.
	before, err := d1.rules()
	must(err)
	foreign := "-A -t 203.0.113.1:80 -s rr"
	vip := c.Spec.VIP().String()
	for _, command := range []string{
		foreign,
		fmt.Sprintf("-e -t %s:%d -r %s:%d -g -w 77", vip, oddPort, host(ipv4.segment, hostReal), oddPort),
		fmt.Sprintf("-E -t %s:%d -s rr", vip, oddPort),
		fmt.Sprintf("-D -t %s:%d", vip, ownPort),
	} {
		_, err := d1.ipvsadm(strings.Fields(command)...)
		must(err)
	}
	want := append(slices.Clone(before), foreign)
	slices.Sort(want)
	must(Await(ctx, "the table to be repaired", func(context.Context) error {
		got, err := d1.rules()
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("the table is %q, want %q", got, want)
		}
		return err
	}))
	must(Await(ctx, "the repair to be shown", func(ctx context.Context) error {
		s, err := d1.Status(ctx)
		if err == nil && (s.Drift == nil || s.Drift.Operations == 0 || !slices.Contains(s.Foreign, "tcp 203.0.113.1:80")) {
			err = fmt.Errorf("drift %+v, foreign %v", s.Drift, s.Foreign)
		}
		return err
	}))
	events, err := d1.Haldir(ctx, "events", "--run-dir", d1.RunDir())
	must(err)
	if !strings.Contains(events, "drift ipvs: undone") {
		t.Errorf("the journal says nothing of a drift:\n%s", events)
	}

	// All processes die, and another haldir takes over what is there: an entry that
	// was deleted and added again would count from 0.
	must(callOwn(ctx))
	counted := func() uint64 { return connectionsOf(status(), "held") }
	held := counted()
	if held == 0 {
		t.Fatal("the kernel has counted no connection of the held service")
	}
	must(d1.KillAll())
	must(Await(ctx, "nobody to answer any more", func(ctx context.Context) error {
		_, err := d1.Status(ctx)
		if errors.Is(err, control.ErrNotRunning) {
			return nil
		}
		return fmt.Errorf("asking a dead director: %w", err)
	}))
	must(d1.StartDirector())
	_, err = d1.AwaitState(ctx, "master")
	must(err)
	must(Await(ctx, "every service to be adopted", func(ctx context.Context) error { return d1.allLoaded(ctx) }))
	if now := counted(); now < held {
		t.Errorf("%d connections of the held service are counted after a crash, %d before", now, held)
	}
	if got, err := d1.rules(); err != nil || !slices.Equal(got, want) {
		t.Errorf("after the crash the table is %q, %v, want %q", got, err, want)
	}
	if hidden {
		moduleStory(ctx, t, d1)
		must(Await(ctx, "the director to answer itself again", callOwn))
	}
	must(d1.StopDirector(ctx))
	if timeouts, err = d1.ipvsadm("-L", "--timeout"); err != nil || strings.Contains(timeouts, ": 7200 ") {
		t.Errorf("after the end the timeouts are %q, %v, want those of before", timeouts, err)
	}
}

// moduleStory takes the module away below a running director.
func moduleStory(ctx context.Context, t *testing.T, d1 *Node) {
	t.Helper()
	if err := Await(ctx, "ip_vs to be unloaded", func(context.Context) error {
		if _, err := d1.ipvsadm("-C"); err != nil {
			return err
		}
		return unloadIPVS()
	}); err != nil {
		t.Fatal(err)
	}
	if err := Await(ctx, "the table to be loaded again", func(ctx context.Context) error {
		if err := d1.allLoaded(ctx); err != nil {
			return err
		}
		out, err := d1.ipvsadm("-L", "--timeout")
		if err == nil && !strings.Contains(out, ": 7200 ") {
			err = fmt.Errorf("the timeouts are %q", out)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// allLoaded says which service the kernel lacks.
func (n *Node) allLoaded(ctx context.Context) error {
	status, err := n.Status(ctx)
	if err != nil {
		return err
	}
	for _, s := range status.Services {
		if s.Loaded == nil || !*s.Loaded || s.Error != "" {
			return fmt.Errorf("service %s: loaded %v, %q; problems: %q", s.Name, s.Loaded, s.Error, status.Problems)
		}
	}
	return nil
}

// unloadIPVS removes ip_vs and all that needs it; the error says what is left.
func unloadIPVS() error {
	loaded, err := ipvsModules()
	for _, name := range loaded {
		err = errors.Join(err, unix.DeleteModule(name, unix.O_NONBLOCK))
	}
	if left, readErr := ipvsModules(); readErr != nil || len(left) > 0 {
		return fmt.Errorf("%v are loaded: %w", left, errors.Join(readErr, err))
	}
	return nil
}

// ipvsModules are in an order in which they can be removed.
func ipvsModules() ([]string, error) {
	text, err := os.ReadFile("/proc/modules")
	var names []string
	for line := range strings.Lines(string(text)) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "ip_vs") {
			names = append(names, name)
		}
	}
	return names, err
}
