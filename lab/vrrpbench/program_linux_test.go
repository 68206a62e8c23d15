package vrrpbench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a daemon with all its processes.
type program struct {
	b     *testing.B
	cmd   *exec.Cmd
	ended chan struct{}
}

// begin starts argv by a function that runs another one inside a namespace.
func begin(b *testing.B, inside func(func()), log string, argv ...string) *program {
	b.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	p := &program{b: b, cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	inside(func() { err = p.cmd.Start() })
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	b.Cleanup(p.kill)
	return p
}

// tree lists the processes, the first one first.
func (p *program) tree() []int {
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		for _, name := range tasks {
			text, _ := os.ReadFile(name)
			for _, field := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(field); err == nil {
					all = append(all, pid)
				}
			}
		}
	}
	return all
}

// kill ends all processes as if at one instant.
func (p *program) kill() {
	select {
	case <-p.ended:
		return
	default:
	}
	all := p.tree()
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range all {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				p.b.Error(err)
			}
		}
	}
	<-p.ended
}

// stop ends the program in order.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.b.Error("it does not stop")
		p.kill()
	}
}

// cpu is how much time all processes have had, in user and kernel.
func (p *program) cpu() time.Duration {
	ticks := int64(0)
	for _, pid := range p.tree() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, rest, _ := strings.Cut(string(text), ") ") // the name may have spaces
		if fields := strings.Fields(rest); len(fields) > 12 {
			user, _ := strconv.ParseInt(fields[11], 10, 64)
			system, _ := strconv.ParseInt(fields[12], 10, 64)
			ticks += user + system
		}
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ is 100 on every architecture that Go knows
}

// load is what part of a core all processes take over a time, in percent.
func (p *program) load(over time.Duration) float64 {
	before, since := p.cpu(), time.Now()
	during(over)
	return 100 * (p.cpu() - before).Seconds() / time.Since(since).Seconds()
}

// pss is the memory of all processes together, what they share counted once, in
// megabytes.
func (p *program) pss() float64 {
	kilobytes := 0
	for _, pid := range p.tree() {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if _, rest, found := strings.Cut(string(text), "\nPss:"); found {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			kilobytes += n
		}
	}
	return float64(kilobytes) / 1024
}
