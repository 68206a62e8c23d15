package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// program is a program that was started inside a namespace. It dies with the lab.
type program struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed after err is set
	err   error
}

// start starts argv in ns. Its standard error goes to log, its standard output
// to out, which may be nil for log as well; in may be nil.
func start(ns *namespace, name, log string, argv []string, in io.Reader, out io.Writer) (*program, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	if out == nil {
		out = file
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, file
	// A group of its own, so that a terminal's Ctrl-C reaches the lab alone, which
	// ends the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &program{name: name, cmd: cmd, ended: make(chan struct{})}
	if err := ns.do(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// running reports whether the process has not ended yet.
func (p *program) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends sig; a process that has ended already is no error.
func (p *program) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// wait waits for the end of the process and returns how it ended.
func (p *program) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", p.name, context.Cause(ctx))
	}
}

// kill ends the process at once and waits for that.
func (p *program) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.ended
	return err
}

// run runs argv in ns to its end. The error has what it wrote.
func run(ctx context.Context, ns *namespace, argv ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err := ns.do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return out.String(), nil
}
