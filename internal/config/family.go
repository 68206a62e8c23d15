package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Routers returns the virtual routers that the [[vrrp]] blocks make, as blocks of
// one family each: one over IPv4 with the block's name, and one over IPv6 with the
// name that RouterName gives.
func (c *Config) Routers() []VRRP {
	all := make([]VRRP, 0, len(c.VRRP))
	for _, v := range c.VRRP {
		if group := c.GroupOf(v.Name); group != nil {
			v.Group = "sync_group " + group.Name // no name of a block has a space
		}
		all = v.appendRouters(all)
	}
	return all
}

func (v VRRP) appendRouters(all []VRRP) []VRRP {
	four, six := v.of(false), v.of(true)
	switch {
	case len(six.Addresses) == 0:
		four.Also, four.Routes, four.Rules = v.Also, v.Routes, v.Rules
		return append(all, four)
	case len(four.Addresses) == 0:
		six.Also, six.Routes, six.Rules = v.Also, v.Routes, v.Rules
		return append(all, six)
	}
	// No name of a block has a slash.
	if v.Group == "" {
		four.Group, six.Group = v.Name+"/", v.Name+"/"
	}
	return append(all, four, six)
}

// of returns the part of one family.
func (v VRRP) of(six bool) VRRP {
	out := v
	out.Name = RouterName(v.Name, six)
	out.Addresses = only(v.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() == six })
	out.Peers = only(v.Peers, func(a netip.Addr) bool { return a.Is6() == six })
	out.Also = only(v.Also, func(e Extra) bool { return e.Prefix.Addr().Is6() == six })
	out.Routes = only(v.Routes, func(r Route) bool { return r.Destination.Addr().Is6() == six })
	out.Rules = only(v.Rules, func(r Rule) bool { return r.IPv6 == six })
	if len(out.Peers) == 0 {
		out.MinTTL = 0
	}
	if six {
		out.Checksum = "" // IPv6 leaves no choice
	}
	return out
}

// only returns what is kept of a list; nil if that is nothing.
func only[T any](list []T, keep func(T) bool) []T {
	var out []T
	for _, x := range list {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

const ipv6Suffix = "/ipv6"

// RouterName is the name of the virtual router that a [[vrrp]] block makes in a
// family. What is said of IPv6 is so whether or not the block has IPv4 addresses,
// so that a router keeps its name, and thereby its role, when the others change.
// A name that it has given already stays.
func RouterName(block string, six bool) string {
	if six {
		return Block(block) + ipv6Suffix
	}
	return block
}

// Block is the name of the [[vrrp]] block of a virtual router.
func Block(router string) string { return strings.TrimSuffix(router, ipv6Suffix) }

// Router is the name of the virtual router that holds the address of a listener.
func (s Service) Router(listen netip.AddrPort) string {
	if s.Single != "" {
		return s.Single
	}
	return RouterName(s.VRRP, listen.Addr().Is6())
}

// At returns the service as it is at one listener: with the real servers and the
// sorry server that can serve there. Those are the ones of the listener's family;
// where there are none, a tunnel carries either family over the other. The director
// itself serves everywhere. What is the same in both is shared by them.
func (s Service) At(listen netip.AddrPort) Service {
	serves := s.serves(listen)
	out := s
	if len(s.Listen) != 1 || s.Listen[0] != listen {
		out.Listen = []netip.AddrPort{listen}
	}
	if slices.ContainsFunc(s.Real, func(r Real) bool { return !serves(r) || r.Local() }) {
		out.Real = slices.DeleteFunc(slices.Clone(s.Real), func(r Real) bool { return !serves(r) })
	}
	here := loopback(listen.Addr().Is6())
	for i := range out.Real {
		if out.Real[i].Local() {
			out.Real[i].Address = here
		}
	}
	switch sorry := s.Pool.Sorry; {
	case sorry == nil:
	case sorry.Local():
		local := *sorry
		local.Address = here
		out.Pool.Sorry = &local
	case !serves(*sorry):
		out.Pool.Sorry = nil
	}
	return out
}

func (s Service) serves(listen netip.AddrPort) func(Real) bool {
	own := func(r Real) bool { return !r.Local() && r.Address.Is4() == listen.Addr().Is4() }
	if s.Forward == "tun" && !slices.ContainsFunc(s.Real, own) {
		return func(Real) bool { return true }
	}
	return func(r Real) bool { return r.Local() || own(r) }
}

// checkFamilies checks that every listener of b has a real server that it can be
// forwarded to, and that every server is of use to a listener.
func (l *loader) checkFamilies(b *serviceBlock) {
	held := !slices.ContainsFunc(b.listen, func(f listenField) bool { return !l.host.vips[f.at.Addr()] })
	if len(b.Service.Real) == 0 || len(b.Service.Real) != len(b.real) || b.unread || !b.forward.sound() || len(b.listen) == 0 || !held {
		return
	}
	s := b.Service
	idle := func(r Real) bool {
		return !slices.ContainsFunc(s.Listen, func(at netip.AddrPort) bool { return s.serves(at)(r) })
	}
	fits := func(r Real) problem {
		what := problem{
			message: fmt.Sprintf("an %s server, but no listener of the service is %s", family(r.Address), family(r.Address)),
			legal:   fmt.Sprintf("an %s address", family(s.Listen[0].Addr())),
		}
		served := slices.ContainsFunc(s.Listen, func(at netip.AddrPort) bool { return len(s.At(at).Real) > 0 })
		if s.Forward != "tun" && !served {
			what.message += fmt.Sprintf(", and %s does not carry %s over %s", s.Forward, family(s.Listen[0].Addr()), family(r.Address))
			what.legal += `, or forward = "tun"`
		}
		return what
	}
	reported := false
	for _, r := range b.real {
		if idle(r.Real) {
			reported = true
			l.found.add(r.place, fits(r.Real))
		}
	}
	if sorry := b.pool.sorry; sorry != nil && s.Pool.Sorry != nil && idle(sorry.Real) {
		l.found.add(sorry.place, fits(sorry.Real))
	}
	for _, f := range b.listen {
		if reported || len(s.At(f.at).Real) > 0 {
			continue
		}
		what := problem{
			message: fmt.Sprintf("an %s listener, but no real server is %s", family(f.at.Addr()), family(f.at.Addr())),
			legal:   fmt.Sprintf("an %s real server for it", family(f.at.Addr())),
		}
		if s.Forward != "tun" {
			what.message += fmt.Sprintf(", and %s does not carry %s over %s", s.Forward, family(f.at.Addr()), family(s.Real[0].Address))
			what.legal += `, or forward = "tun"`
		}
		l.found.add(f.place, what)
		reported = true
	}
	// "The synchronization protocol is incompatible with mixed family services", says
	// the kernel, and refuses such servers while a daemon runs.
	if l.sync == nil || s.Forward != "tun" || reported {
		return
	}
	for _, f := range b.listen {
		other := slices.IndexFunc(s.At(f.at).Real, func(r Real) bool { return r.Address.Is4() != f.at.Addr().Is4() })
		if other >= 0 {
			real := s.At(f.at).Real[other].Address
			l.found.add(f.place, problem{
				message: fmt.Sprintf("an %s listener with %s servers, which the kernel refuses while it synchronises connections", family(f.at.Addr()), family(real)),
				legal:   family(f.at.Addr()) + " real servers for it, or no [connection_sync]",
			})
			return
		}
	}
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// checkRouterFamilies checks what a [[vrrp]] block says of each family against the
// addresses that it has.
func (l *loader) checkRouterFamilies(b *vrrpBlock) {
	has := map[bool]bool{}
	for _, f := range b.addresses {
		if !f.known {
			return
		}
		six := f.prefix.Addr().Is6()
		if six && b.Version == 2 {
			l.found.add(f.place, problem{message: "version 2 is of IPv4 alone", legal: "version = 3"})
		}
		has[six] = true
	}
	if b.checksum.good && b.checksum.set && len(has) > 0 && !has[false] {
		l.found.add(b.checksum.place, problem{message: "there is a choice over IPv4 alone, and no address is of IPv4", legal: "leave it out"})
	}
	if len(has) > 0 && !has[false] {
		b.VRRP.Checksum = "" // IPv6 leaves no choice
	}
	peers := map[bool]bool{}
	for _, p := range b.peers {
		six := p.addr.Is6()
		peers[six] = true
		if len(has) > 0 && !has[six] {
			l.found.add(p.place, problem{
				message: fmt.Sprintf("an %s peer, but no virtual address is %s", family(p.addr), family(p.addr)),
				legal:   "peers of the addresses' families",
			})
		}
	}
	for i, f := range b.addresses {
		six := f.prefix.Addr().Is6()
		if !b.peersUnread && len(b.peers) > 0 && !peers[six] && i == slices.IndexFunc(b.addresses, func(o vipField) bool { return o.prefix.Addr().Is6() == six }) {
			l.found.add(f.place, problem{
				message: fmt.Sprintf("an %s address, but no peer is %s", family(f.prefix.Addr()), family(f.prefix.Addr())),
				legal:   "peers of each family that has addresses, or none for multicast",
			})
		}
	}
}

// single is the name of the only virtual router of a block, if listeners of the
// other family are at addresses that move along.
func (l *loader) single(s *serviceBlock, block string) string {
	for _, b := range l.vrrp {
		if b.VRRP.Name != block {
			continue
		}
		routers := b.VRRP.appendRouters(nil)
		other := slices.ContainsFunc(s.listen, func(f listenField) bool { return RouterName(block, f.at.Addr().Is6()) != routers[0].Name })
		if len(routers) == 1 && other {
			return routers[0].Name
		}
	}
	return ""
}
