package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/haldir-lb/haldir/internal/process"
)

// everyRole is in the order in which the processes of a node are stopped before
// they are killed: the supervisor first, so that it restarts none.
var everyRole = []process.Role{process.Supervisor, process.Director, process.Speaker, process.Checker}

// Kill sends SIGKILL to one of the node's processes and returns its id.
func (n *Node) Kill(role process.Role) (int, error) {
	return n.signal(role, syscall.SIGKILL)
}

// Pause stops one of the node's processes with SIGSTOP; Resume lets it go on.
func (n *Node) Pause(role process.Role) (int, error) { return n.signal(role, syscall.SIGSTOP) }

// Resume ends Pause.
func (n *Node) Resume(role process.Role) (int, error) { return n.signal(role, syscall.SIGCONT) }

func (n *Node) signal(role process.Role, sig syscall.Signal) (int, error) {
	processes, err := n.Processes()
	if err != nil {
		return 0, err
	}
	pid, ok := processes[role]
	if !ok {
		return 0, fmt.Errorf("the %s of %s: %w", role, n.Name, ErrNotRunning)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return pid, fmt.Errorf("sending %s to the %s of %s: %w", sig, role, n.Name, err)
	}
	return pid, nil
}

// KillAll kills all processes of the node as if at one instant, and waits for
// their end: they are stopped first, so that none sees the death of another.
func (n *Node) KillAll() error {
	processes, err := n.Processes()
	if err != nil {
		return err
	}
	if len(processes) == 0 {
		return fmt.Errorf("killing %s: %w", n.Name, ErrNotRunning)
	}
	var errs []error
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, role := range everyRole {
			if pid, ok := processes[role]; ok {
				if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
					errs = append(errs, fmt.Errorf("sending %s to the %s of %s: %w", sig, role, n.Name, err))
				}
			}
		}
	}
	<-n.director.ended
	return errors.Join(errs...)
}

// Crash is the sudden end of the machine: all processes killed and the cable
// dead. What its kernel holds stays until Reboot.
func (n *Node) Crash() error { return errors.Join(n.Cut(), n.KillAll()) }

// Reboot brings a crashed director back. Its kernel still has what it had, unlike
// a machine's that was off, so the cable is plugged in when haldir has taken the
// address away.
func (n *Node) Reboot(ctx context.Context) error {
	if err := n.StartDirector(); err != nil {
		return err
	}
	err := Await(ctx, n.Name+" to give up the address it had", func(context.Context) error {
		for _, vip := range n.cluster.Spec.VIPs() {
			has, err := n.Has(vip)
			if err != nil {
				return err
			}
			if has {
				return fmt.Errorf("it still has %s", vip)
			}
		}
		return nil
	})
	return errors.Join(err, n.Restore())
}

// Cut unplugs the node's cable: both ends lose carrier. Restore plugs it in.
func (n *Node) Cut() error {
	return n.port(func(ns *namespace) error {
		link, err := ns.links.LinkByName(n.Name)
		if err != nil {
			return err
		}
		return ns.links.LinkSetDown(link)
	})
}

// Silence makes the switch forget the node's port: nothing passes any more, and
// neither end sees a change of carrier. Restore ends it.
func (n *Node) Silence() error {
	return n.port(func(ns *namespace) error {
		link, err := ns.links.LinkByName(n.Name)
		if err != nil {
			return err
		}
		return ns.links.LinkSetNoMaster(link)
	})
}

// Restore ends Cut, Silence and Partition for the node's port.
func (n *Node) Restore() error {
	return n.port(func(ns *namespace) error {
		return errors.Join(enslave(ns, n.Name), n.isolate(false), setUp(ns, n.Name))
	})
}

// port changes the switch's end of the node's cable.
func (n *Node) port(change func(*namespace) error) error {
	switch n.Kind {
	case KindDirector, KindReal, KindRouter:
	default:
		return fmt.Errorf("%s has no port at the switch", n.Name)
	}
	if err := change(n.cluster.nodes[Switch].ns); err != nil {
		return fmt.Errorf("changing the switch port of %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) isolate(on bool) error {
	ns := n.cluster.nodes[Switch].ns
	link, err := ns.links.LinkByName(n.Name)
	if err != nil {
		return err
	}
	return ns.links.LinkSetIsolated(link, on)
}

// Partition keeps the directors from hearing one another, while everybody else
// hears them all. Heal ends it.
func (c *Cluster) Partition() error { return c.isolateDirectors(true) }

// Heal ends Partition.
func (c *Cluster) Heal() error { return c.isolateDirectors(false) }

func (c *Cluster) isolateDirectors(on bool) error {
	var errs []error
	for _, n := range c.Nodes(KindDirector) {
		// The switch forwards nothing between two isolated ports.
		if err := n.isolate(on); err != nil {
			errs = append(errs, fmt.Errorf("changing the isolation of %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}
