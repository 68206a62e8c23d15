package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// AgentMain runs one of the lab's own helpers, the responders or a client, in the
// process that the lab started for it. It returns the exit status.
func AgentMain(args []string) int {
	return traffic.Main(args, os.Stdin, os.Stdout, os.Stderr)
}

// agent is a helper at work.
type agent struct {
	*program
	input io.WriteCloser
	read  chan struct{} // closed when its output has ended
}

// startAgent starts a helper on the node and waits until it is ready. Each later
// message goes to handle, on a goroutine of the agent.
func (n *Node) startAgent(ctx context.Context, kind string, cfg any, handle func(traffic.Message)) (*agent, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration of the %s: %w", kind, err)
	}
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe to the %s: %w", kind, err)
	}
	defer func() { _ = inRead.Close() }()
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a pipe from the %s: %w", kind, err), inWrite.Close())
	}
	defer func() { _ = outWrite.Close() }()
	argv := append(append([]string(nil), n.cluster.options.Agent...), kind, string(text))
	p, err := start(n.ns, fmt.Sprintf("the %s on %s", kind, n.Name), n.LogPath(kind), argv, inRead, outWrite)
	if err != nil {
		return nil, errors.Join(err, inWrite.Close(), outRead.Close())
	}
	a := &agent{program: p, input: inWrite, read: make(chan struct{})}
	ready := make(chan struct{})
	go a.follow(outRead, ready, handle)
	select {
	case <-ready:
		return a, nil
	case <-a.read:
		<-p.ended
		log, _ := os.ReadFile(n.LogPath(kind))
		return nil, fmt.Errorf("%s ended before it was ready: %w: %s", p.name, errors.Join(p.err, inWrite.Close()), log)
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s: %w", p.name, errors.Join(context.Cause(ctx), a.kill()))
	}
}

// follow reads the agent's output to its end.
func (a *agent) follow(out io.ReadCloser, ready chan<- struct{}, handle func(traffic.Message)) {
	defer close(a.read)
	defer func() { _ = out.Close() }()
	decoder := json.NewDecoder(bufio.NewReaderSize(out, 1<<16))
	for {
		var m traffic.Message
		if decoder.Decode(&m) != nil {
			return
		}
		if m.Ready {
			close(ready)
			ready = nil
			continue
		}
		handle(m)
	}
}

// tell writes a command to the agent's input.
func (a *agent) tell(c traffic.Command) error {
	line, err := json.Marshal(c)
	if err == nil {
		_, err = a.input.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("telling %s: %w", a.name, err)
	}
	return nil
}

// kill ends the agent at once.
func (a *agent) kill() error {
	err := errors.Join(a.program.kill(), a.input.Close())
	<-a.read
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
