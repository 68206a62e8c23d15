package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// namespace is a network namespace with a thread that lives in it. Processes are
// started from that thread, which they outlive only as far as their death signal
// allows: close it after they have ended.
type namespace struct {
	name  string // below netnsRoot
	fd    netns.NsHandle
	links *netlink.Handle
	calls chan func()
	ended chan struct{}
}

// newNamespace makes a named namespace with lo up.
func newNamespace(name string) (*namespace, error) {
	n := &namespace{name: name, calls: make(chan func()), ended: make(chan struct{})}
	made := make(chan error)
	go n.live(made)
	if err := <-made; err != nil {
		<-n.ended
		return nil, fmt.Errorf("making network namespace %s: %w", name, err)
	}
	if err := n.do(n.setUp); err != nil {
		n.close()
		return nil, fmt.Errorf("setting up network namespace %s: %w", name, err)
	}
	return n, nil
}

// live is the namespace's thread. It is never unlocked, so it ends with the
// goroutine and no other goroutine gets to run in the namespace.
func (n *namespace) live(made chan<- error) {
	runtime.LockOSThread()
	defer close(n.ended)
	var err error
	n.fd, err = netns.NewNamed(n.name)
	made <- err
	if err != nil {
		return
	}
	for call := range n.calls {
		call()
	}
}

func (n *namespace) setUp() error {
	var err error
	if n.links, err = netlink.NewHandle(); err != nil {
		return fmt.Errorf("opening netlink: %w", err)
	}
	lo, err := n.links.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return n.links.LinkSetUp(lo)
}

// do runs fn on the namespace's thread. Sockets opened and processes started by
// fn belong to the namespace.
func (n *namespace) do(fn func() error) error {
	done := make(chan error)
	n.calls <- func() { done <- fn() }
	return <-done
}

// sysctl sets kernel parameters, given as path below /proc/sys and value.
func (n *namespace) sysctl(settings ...[2]string) error {
	return n.do(func() error {
		for _, s := range settings {
			if err := os.WriteFile(filepath.Join("/proc/sys", s[0]), []byte(s[1]), 0); err != nil {
				return fmt.Errorf("setting %s to %s in %s: %w", s[0], s[1], n.name, err)
			}
		}
		return nil
	})
}

// close ends the thread. The mount of the namespace is the lease's to remove.
func (n *namespace) close() {
	close(n.calls)
	<-n.ended
	if n.links != nil {
		n.links.Close()
	}
	if n.fd.IsOpen() {
		_ = n.fd.Close()
	}
}
