package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
)

// Node is one machine of the lab.
type Node struct {
	Name string
	Kind Kind
	// Address is the node's own: on the segment, of the client on its own side.
	Address netip.Addr
	MAC     net.HardwareAddr // of Interface

	cluster  *Cluster
	ns       *namespace
	director *program // haldir run: the supervisor
}

// RunDir is the node's --run-dir.
func (n *Node) RunDir() string { return filepath.Join(n.cluster.Dir(), n.Name) }

// StateDir is the node's --state-dir.
func (n *Node) StateDir() string { return filepath.Join(n.RunDir(), "state") }

// Namespace is the name of the node's network namespace, for ip-netns(8).
func (n *Node) Namespace() string { return n.ns.name }

// LogPath is where the node's processes of one sort write: "haldir", "client" or
// "responders".
func (n *Node) LogPath(sort string) string { return filepath.Join(n.RunDir(), sort+".log") }

// Do runs fn on a thread inside the node's namespace. Sockets opened by fn belong
// to the node.
func (n *Node) Do(fn func() error) error { return n.ns.do(fn) }

// Has reports whether the kernel of the node has an address, on any interface.
func (n *Node) Has(address netip.Addr) (bool, error) { return n.HasOn("", address) }

// HasOn is Has for one interface; none means all.
func (n *Node) HasOn(name string, address netip.Addr) (bool, error) {
	index := 0
	if name != "" {
		link, err := n.ns.links.LinkByName(name)
		if err != nil {
			return false, fmt.Errorf("finding %s of %s: %w", name, n.Name, err)
		}
		index = link.Attrs().Index
	}
	present, err := n.ns.links.AddrList(nil, syscall.AF_UNSPEC)
	if err != nil {
		return false, fmt.Errorf("listing addresses of %s: %w", n.Name, err)
	}
	for _, a := range present {
		if a.IP.Equal(address.AsSlice()) && (index == 0 || a.LinkIndex == index) {
			return true, nil
		}
	}
	return false, nil
}

// Carrier reports whether the node's interface has carrier.
func (n *Node) Carrier() (bool, error) {
	link, err := n.ns.links.LinkByName(Interface)
	if err != nil {
		return false, fmt.Errorf("finding %s of %s: %w", Interface, n.Name, err)
	}
	return link.Attrs().RawFlags&syscall.IFF_RUNNING != 0, nil
}

func (n *Node) close() error {
	var errs []error
	if n.director.running() {
		errs = append(errs, n.KillAll())
	}
	n.ns.close()
	return errors.Join(errs...)
}
