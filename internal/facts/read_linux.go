package facts

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/firewall"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// Read reads the host that this process is on, in its network namespace. It
// always returns a Host: what could not be read is in its Unknown.
func Read(ctx context.Context, want Wants) *Host {
	h := &Host{}
	files := want.Files
	if files == nil {
		files = os.DirFS("/")
	}
	h.try("interfaces", func() (err error) { h.Links, err = netif.Links(ctx); return err })
	h.try("addresses", func() error { return h.readAddresses(ctx) })
	h.try("default routes", func() (err error) { h.Routes, err = netif.DefaultRoutes(ctx); return err })
	h.readWays(ctx, want.WaysTo)
	h.try("the neighbour table", h.readNeighbours)
	h.try("kernel parameters", h.readSysctls)
	h.try("listening sockets", h.readListeners)
	h.try("the IPVS table", func() error { return h.readTable(ctx) })
	h.try("the kernel's release", func() (err error) { h.Kernel, err = netif.ReadSysctl("kernel/osrelease"); return err })
	h.try("the firewall", func() (err error) { h.Firewall, err = firewall.Read(); return err })
	h.try("which programs run", func() (err error) { h.Rivals, err = readRivals(); return err })
	h.try("the clamps of segments", func() (err error) { h.Clamps, err = netif.ReadClamps(ctx); return err })
	h.try("who manages the network", func() (err error) { h.Managers, err = readManagers(files, h.Links); return err })
	return h
}

func (h *Host) try(what string, read func() error) {
	if err := read(); err != nil {
		h.Unknown = append(h.Unknown, Unknown{what, err.Error()})
	}
}

func (h *Host) readAddresses(ctx context.Context) error {
	present, err := netif.NewAddresses().Read(ctx)
	if err != nil {
		return err
	}
	type key struct {
		index int
		addr  netip.Addr
		bits  int
	}
	list, err := netlink.AddrList(nil, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("reading scopes of addresses: %w", err)
	}
	scopes, flags := map[key]int{}, map[key]int{}
	for _, a := range list {
		addr, _ := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		k := key{a.LinkIndex, addr.Unmap(), bits}
		scopes[k], flags[k] = a.Scope, a.Flags
	}
	h.Addresses = make([]Address, 0, len(present))
	for _, p := range present {
		link, _ := h.Link(p.Interface)
		k := key{link.Index, p.Prefix.Addr(), p.Prefix.Bits()}
		h.Addresses = append(h.Addresses, Address{PresentAddress: p, Scope: scopeName(scopes[k]), Refused: flags[k]&unix.IFA_F_DADFAILED != 0})
	}
	return nil
}

func scopeName(scope int) string {
	switch scope {
	case unix.RT_SCOPE_UNIVERSE:
		return "global"
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	}
	return strconv.Itoa(scope)
}

// readWays leaves out addresses to which there is no route.
func (h *Host) readWays(ctx context.Context, to []netip.Addr) {
	h.Ways = make(map[netip.Addr]netif.Route, len(to))
	for _, addr := range to {
		if route, err := netif.RouteTo(ctx, addr, netip.Addr{}); err == nil {
			h.Ways[addr] = route
		}
	}
}

func (h *Host) readNeighbours() error {
	names := map[int]string{}
	for _, l := range h.Links {
		names[l.Index] = l.Name
	}
	list, err := netlink.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		return err
	}
	for _, n := range list {
		addr, ok := netip.AddrFromSlice(n.IP)
		const useless = netlink.NUD_FAILED | netlink.NUD_INCOMPLETE | netlink.NUD_NOARP
		if !ok || len(n.HardwareAddr) == 0 || n.State&useless != 0 {
			continue
		}
		h.Neighbours = append(h.Neighbours, Neighbour{names[n.LinkIndex], addr.Unmap(), net.HardwareAddr(n.HardwareAddr)})
	}
	slices.SortFunc(h.Neighbours, func(a, b Neighbour) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Interface, b.Interface))
	})
	return nil
}

// readTable opens nothing where IPVS is not there already: asking for it would
// load the module.
func (h *Host) readTable(ctx context.Context) error {
	if _, err := os.Stat("/proc/thread-self/net/ip_vs"); err != nil {
		if isAbsent(err) {
			return nil
		}
		return err
	}
	h.HasIPVS = true
	handle, err := ipvsnl.Open()
	if err != nil {
		return err
	}
	defer func() { _ = handle.Close() }()
	h.Table, err = handle.Read(ctx)
	if err != nil {
		return err
	}
	h.SyncDaemons, err = handle.SyncDaemons(ctx)
	if h.SyncDaemons == nil {
		h.SyncDaemons = []ipvsctl.SyncDaemon{}
	}
	return err
}

// ReadModules looks kernel modules up, by name.
func (h *Host) ReadModules(names ...string) {
	h.Modules = map[string]netif.ModuleState{}
	for _, name := range names {
		state, err := netif.Module(name)
		if err != nil || state == netif.ModuleUnknown {
			reason := "this kernel's list of modules is not there"
			if err != nil {
				reason = err.Error()
			}
			h.Unknown = append(h.Unknown, Unknown{"whether there is a kernel module " + name, reason})
			continue
		}
		h.Modules[name] = state
	}
}

// sysctlKeys are what is read of each interface, by family.
var sysctlKeys = map[string][]string{
	"ipv4": {"arp_announce", "arp_filter", "arp_ignore", "accept_redirects", "forwarding", "rp_filter", "send_redirects"},
	"ipv6": {"accept_ra", "accept_redirects", "disable_ipv6", "forwarding"},
}

// sysctlPaths are those that stand alone.
var sysctlPaths = []string{
	"net/ipv4/ip_forward",
	"net/ipv4/vs/conntrack", "net/ipv4/vs/conn_reuse_mode", "net/ipv4/vs/expire_nodest_conn",
	"net/ipv4/vs/expire_quiescent_template", "net/ipv4/vs/sloppy_tcp", "net/ipv4/vs/sloppy_sctp",
	"net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max",
}

func (h *Host) readSysctls() error {
	h.Sysctls = map[string]string{}
	paths := slices.Clone(sysctlPaths)
	for family, keys := range sysctlKeys {
		names := []string{"all", "default"}
		for _, l := range h.Links {
			names = append(names, l.Name)
		}
		for _, name := range names {
			for _, key := range keys {
				paths = append(paths, "net/"+family+"/conf/"+name+"/"+key)
			}
		}
	}
	for _, path := range paths {
		value, err := netif.ReadSysctl(path)
		if isAbsent(err) {
			continue
		}
		if err != nil {
			return err
		}
		h.Sysctls[path] = value
	}
	return nil
}
