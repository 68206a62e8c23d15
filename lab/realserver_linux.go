package lab

import (
	"context"
	"fmt"
)

// ApplyRealServer sets the node up as a real server.
func (n *Node) ApplyRealServer(ctx context.Context) error {
	return n.realServer(ctx, "apply", "-c", n.cluster.ConfigPath, "--node", n.Name)
}

// VerifyRealServer has the node's set-up verified.
func (n *Node) VerifyRealServer(ctx context.Context) error {
	return n.realServer(ctx, "verify", "-c", n.cluster.ConfigPath, "--node", n.Name)
}

// RemoveRealServer undoes ApplyRealServer.
func (n *Node) RemoveRealServer(ctx context.Context) error { return n.realServer(ctx, "remove") }

func (n *Node) realServer(ctx context.Context, args ...string) error {
	args = append(append([]string{"realserver"}, args...), "--run-dir", n.RunDir())
	if _, err := n.Haldir(ctx, args...); err != nil {
		return fmt.Errorf("real server %s: %w", n.Name, err)
	}
	return nil
}

// Haldir runs the binary under test on the node, to its end, and returns what it
// wrote.
func (n *Node) Haldir(ctx context.Context, args ...string) (string, error) {
	return run(ctx, n.ns, append([]string{n.cluster.options.Haldir}, args...)...)
}
