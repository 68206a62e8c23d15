package ipvsbench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// contender is a daemon under way.
type contender struct {
	pid    int
	config string // its file
	text   func(special int) string
	socket string // of haldir
}

// launch starts a program in a namespace, and ends it with the benchmark.
func launch(b *testing.B, ns *testenv.Netns, program string, args ...string) int {
	b.Helper()
	cmd := exec.Command(program, args...)
	log, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	ns.Do(b, func() { err = cmd.Start() })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && b.Failed() {
			b.Logf("%s:\n%.4000s", program, text)
		}
		_ = log.Close()
	})
	return cmd.Process.Pid
}

func startHaldir(b *testing.B, ns *testenv.Netns, size bulk) contender {
	return haldirWith(b, ns, func(special int) string { return size.haldir(special, "always") })
}

func haldirWith(b *testing.B, ns *testenv.Netns, text func(special int) string) contender {
	b.Helper()
	binary := os.Getenv("HALDIR_BINARY")
	if binary == "" {
		b.Fatal("HALDIR_BINARY is not set: make bench-ipvs sets it")
	}
	dir := b.TempDir()
	c := contender{config: filepath.Join(dir, "haldir.toml"), text: text, socket: filepath.Join(dir, "run", control.SocketName)}
	if err := os.WriteFile(c.config, []byte(text(10)), 0o600); err != nil {
		b.Fatal(err)
	}
	c.pid = launch(b, ns, binary, "run", "-c", c.config, "--node", "lvs1", "--run-dir", filepath.Join(dir, "run"), "--state-dir", filepath.Join(dir, "state"))
	return c
}

func startKeepalived(b *testing.B, ns *testenv.Netns, size bulk) contender {
	b.Helper()
	program, err := exec.LookPath("keepalived")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	c := contender{config: filepath.Join(dir, "keepalived.conf"), text: size.keepalived}
	if err := os.WriteFile(c.config, []byte(size.keepalived(10)), 0o600); err != nil {
		b.Fatal(err)
	}
	c.pid = launch(b, ns, program, "-n", "-l", "-C", "-f", c.config, "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "checkers.pid"))
	return c
}

// memory is the proportional set size of the process and of all below it, in KiB.
func (c contender) memory(b *testing.B) int {
	b.Helper()
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	sum := 0
	for pid := range parents {
		for p := pid; p > 1; p = parents[p] {
			if p == c.pid {
				sum += pss(pid)
				break
			}
		}
	}
	return sum
}

func pss(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib
		}
	}
	return 0
}
