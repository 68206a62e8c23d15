package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// Options are what a lab needs besides its Spec.
type Options struct {
	// Haldir is the binary under test; empty is the running program itself.
	Haldir string
	// Agent is the program, with its first arguments, that calls AgentMain with
	// the rest; empty is the running program with the argument "lab-agent".
	Agent []string
	// Flags are added to every "haldir run".
	Flags []string
	Log   *slog.Logger
}

func (o Options) filled() (Options, error) {
	self, err := os.Executable()
	if err != nil {
		return o, fmt.Errorf("finding the running program: %w", err)
	}
	if o.Haldir == "" {
		o.Haldir = self
	}
	if len(o.Agent) == 0 {
		o.Agent = []string{self, "lab-agent"}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Cluster is a lab that has been built. Its methods are for one goroutine,
// unless they say otherwise.
type Cluster struct {
	Spec Spec
	// ConfigPath is the configuration of every node.
	ConfigPath string

	options Options
	lease   *lease
	nodes   map[string]*Node
	order   []*Node
	clients []*ClientRun
	loads   []*Downloads

	responders *agent // of all nodes; nil until one is wanted
	responses  <-chan traffic.Message
}

// New builds a lab: namespaces, links, addresses and the configuration. It
// starts no process. Close removes everything.
func New(spec Spec, options Options) (*Cluster, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	options, err := options.filled()
	if err != nil {
		return nil, err
	}
	swept, err := Sweep()
	if err != nil {
		options.Log.Warn("removing what earlier labs left behind", "error", err)
	}
	for _, id := range swept {
		options.Log.Info("removed what a killed lab left behind", "lab", id)
	}
	lease, err := takeLease()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Spec: spec, options: options, lease: lease, nodes: make(map[string]*Node)}
	c.ConfigPath = filepath.Join(c.Dir(), "haldir.toml")
	if err := c.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("building the lab: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) prepare() error {
	if err := os.WriteFile(c.ConfigPath, []byte(c.Spec.Configuration()), 0o644); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	if err := c.build(); err != nil {
		return err
	}
	for _, n := range c.order {
		if err := os.MkdirAll(n.RunDir(), 0o755); err != nil {
			return fmt.Errorf("making the run directory of %s: %w", n.Name, err)
		}
	}
	return nil
}

// Dir is the folder of the lab: the configuration, and for each node its run
// directory and logs. Close removes it.
func (c *Cluster) Dir() string { return c.lease.dir }

// Node returns the node with this name; it panics if there is none.
func (c *Cluster) Node(name string) *Node {
	n := c.nodes[name]
	if n == nil {
		panic("lab: no node " + name)
	}
	return n
}

// Nodes returns the nodes of a kind, in order.
func (c *Cluster) Nodes(kind Kind) []*Node {
	var nodes []*Node
	for _, n := range c.order {
		if n.Kind == kind {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Start starts what a lab consists of: the servers and the directors. It does not
// wait for an election.
func (c *Cluster) Start(ctx context.Context) error {
	if err := c.StartServers(ctx); err != nil {
		return err
	}
	for _, n := range c.Nodes(KindDirector) {
		if err := n.StartDirector(); err != nil {
			return err
		}
	}
	return nil
}

// StartServers starts the responders and sets the real servers up. With
// ForwardNone the directors have the responders.
func (c *Cluster) StartServers(ctx context.Context) error {
	for _, n := range c.servers() {
		if err := n.StartResponder(ctx); err != nil {
			return err
		}
		if !c.Spec.serves(n.Kind) {
			continue
		}
		if err := n.ApplyRealServer(ctx); err != nil {
			return err
		}
	}
	return nil
}

// servers are the nodes that answer the client.
func (c *Cluster) servers() []*Node {
	if c.Spec.Lab.Forward == ForwardNone {
		return c.Nodes(KindDirector)
	}
	var nodes []*Node
	for _, n := range c.order {
		if c.Spec.serves(n.Kind) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Close kills the processes and removes the namespaces and the folder. It may be
// called twice.
func (c *Cluster) Close() error {
	if c.lease == nil {
		return nil
	}
	var errs []error
	for _, client := range c.clients {
		errs = append(errs, client.agent.kill())
	}
	for _, d := range c.loads {
		errs = append(errs, d.agent.kill())
	}
	if c.responders != nil {
		errs = append(errs, c.responders.kill())
	}
	for _, n := range slices.Backward(c.order) {
		errs = append(errs, n.close())
	}
	errs = append(errs, c.lease.release())
	c.lease = nil
	return errors.Join(errs...)
}
