package lab

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// StartResponder makes the node answer, with its name, on the ports of the
// services.
func (n *Node) StartResponder(ctx context.Context) error {
	return n.cluster.respond(ctx, traffic.Command{Serve: &traffic.ServerConfig{
		Name: n.Name, Namespace: filepath.Join(netnsRoot, n.Namespace()), Ports: n.cluster.Spec.realPorts(false),
		Streams: n.cluster.Spec.realPorts(true), IPv6: n.cluster.Spec.Lab.IPv6,
	}})
}

// StopResponder ends that: the ports refuse from then on.
func (n *Node) StopResponder(ctx context.Context) error {
	return n.cluster.respond(ctx, traffic.Command{Close: n.Name})
}

// respond has the process of all responders obey a command; the first one starts
// it.
func (c *Cluster) respond(ctx context.Context, command traffic.Command) error {
	if c.responders == nil {
		answers := make(chan traffic.Message, 1)
		a, err := c.Node(Switch).startAgent(ctx, "responders", struct{}{}, func(m traffic.Message) { answers <- m })
		if err != nil {
			return err
		}
		c.responders, c.responses = a, answers
	}
	if err := c.responders.tell(command); err != nil {
		return err
	}
	select {
	case m := <-c.responses:
		if m.Problem != "" {
			return fmt.Errorf("responders: %s", m.Problem)
		}
		return nil
	case <-c.responders.read:
		return fmt.Errorf("responders: %w", ErrNotRunning)
	case <-ctx.Done():
		return fmt.Errorf("waiting for the responders: %w", context.Cause(ctx))
	}
}
