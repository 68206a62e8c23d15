package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const bridgeName = "lan"

// baseline are the kernel parameters of every node before haldir touches it, so
// that a lab does not depend on what the host has set: a new namespace inherits
// the host's.
func (s Spec) baseline() [][2]string {
	settings := [][2]string{{"net/ipv4/ip_forward", "0"}}
	if s.Lab.IPv6 {
		settings = append(settings, [2]string{"net/ipv6/conf/all/forwarding", "0"})
	}
	for _, name := range []string{"all", "default"} {
		for _, s := range [][2]string{
			{"rp_filter", "0"}, {"arp_ignore", "0"}, {"arp_announce", "0"}, {"arp_filter", "0"},
			{"send_redirects", "1"}, {"accept_redirects", "1"}, {"accept_local", "0"},
		} {
			settings = append(settings, [2]string{"net/ipv4/conf/" + name + "/" + s[0], s[1]})
		}
	}
	return settings
}

// build makes the namespaces and connects them.
func (c *Cluster) build() error {
	for _, p := range c.Spec.layout() {
		ns, err := newNamespace(c.lease.namespace(p.name))
		if err != nil {
			return err
		}
		node := &Node{Name: p.name, Kind: p.kind, Address: p.address(ipv4).Addr(), MAC: p.mac, cluster: c, ns: ns}
		c.nodes[p.name] = node
		c.order = append(c.order, node)
		if err := c.wire(node, p); err != nil {
			return fmt.Errorf("connecting %s: %w", p.name, err)
		}
	}
	return nil
}

func (c *Cluster) wire(n *Node, p place) error {
	if p.kind == KindSwitch {
		return makeBridge(n.ns)
	}
	if err := n.ns.sysctl(c.Spec.baseline()...); err != nil {
		return err
	}
	var err error
	if p.kind == KindClient {
		err = connect(n.ns, c.nodes[Router].ns, clientPort, p.mac)
	} else if err = connect(n.ns, c.nodes[Switch].ns, p.name, p.mac); err == nil {
		err = enslave(c.nodes[Switch].ns, p.name)
	}
	if err != nil {
		return err
	}
	for _, f := range c.Spec.families() {
		if err := c.address(n, p, f); err != nil {
			return err
		}
	}
	return nil
}

// address gives the node what it has in one family.
func (c *Cluster) address(n *Node, p place, f networks) error {
	if err := addAddress(n.ns, Interface, p.address(f)); err != nil {
		return err
	}
	switch p.kind {
	case KindRouter:
		forwarding := "net/ipv4/ip_forward"
		if f == ipv6 {
			forwarding = "net/ipv6/conf/all/forwarding"
		}
		return n.ns.sysctl([2]string{forwarding, "1"})
	case KindClient:
		if err := c.addressClient(n, p, f); err != nil {
			return err
		}
	}
	return addDefaultRoute(n.ns, host(p.network(f), p.gateway))
}

// addressClient gives the client its addresses, and has the router send it the
// replies to the flow sources, which the client's kernel does not know.
func (c *Cluster) addressClient(n *Node, p place, f networks) error {
	for i := 1; i < clientAddresses; i++ {
		if err := addAddress(n.ns, Interface, within(f.clientSide, hostClient+i)); err != nil {
			return err
		}
	}
	router := c.nodes[Router].ns
	if err := addAddress(router, clientPort, within(f.clientSide, hostRouter)); err != nil {
		return err
	}
	return addRoute(router, f.flowSources, p.address(f).Addr())
}

func makeBridge(ns *namespace) error {
	// No group is learned, so multicast goes to every port like on a switch
	// without IGMP snooping.
	snooping := false
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}, MulticastSnooping: &snooping}
	if err := ns.links.LinkAdd(bridge); err != nil {
		return fmt.Errorf("adding bridge %s: %w", bridgeName, err)
	}
	return ns.links.LinkSetUp(bridge)
}

// connect makes a pair of interfaces: Interface in a, and port in b.
func connect(a, b *namespace, port string, address net.HardwareAddr) error {
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: Interface,
		PeerHardwareAddr: address, PeerNamespace: netlink.NsFd(int(a.fd)),
	}
	if err := b.links.LinkAdd(pair); err != nil {
		return fmt.Errorf("adding interfaces %s and %s: %w", port, Interface, err)
	}
	return errors.Join(setUp(a, Interface), setUp(b, port))
}

func setUp(ns *namespace, name string) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	if err := ns.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}
	return nil
}

func enslave(ns *namespace, port string) error {
	link, err := ns.links.LinkByName(port)
	if err != nil {
		return fmt.Errorf("finding port %s: %w", port, err)
	}
	bridge, err := ns.links.LinkByName(bridgeName)
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", bridgeName, err)
	}
	if err := ns.links.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("adding port %s to bridge %s: %w", port, bridgeName, err)
	}
	return nil
}

func addAddress(ns *namespace, name string, prefix netip.Prefix) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding %s: %w", name, err)
	}
	// Nobody else has it, so an IPv6 address need not wait to find that out.
	if err := ns.links.AddrAdd(link, &netlink.Addr{IPNet: ipNet(prefix), Flags: unix.IFA_F_NODAD}); err != nil {
		return fmt.Errorf("adding address %s to %s: %w", prefix, name, err)
	}
	return nil
}

func addDefaultRoute(ns *namespace, via netip.Addr) error {
	all, _ := via.Prefix(0)
	return addRoute(ns, all, via)
}

func addRoute(ns *namespace, to netip.Prefix, via netip.Addr) error {
	if err := ns.links.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("adding route %s via %s: %w", to, via, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
