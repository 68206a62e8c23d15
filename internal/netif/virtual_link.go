package netif

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"slices"
)

// virtualGroup is the link group (`ip link show group 1751215204`) of the links
// that are ours: "hald".
const virtualGroup = 0x68616c64

// maxLinkName is IFNAMSIZ without the final NUL.
const maxLinkName = 15

// VirtualLink is an interface on top of another one with the MAC address of a
// virtual router (RFC 9568, section 7.3). It receives what is sent to that address,
// and answers for the addresses on it, while it is up and only then: down, it is
// silent in every respect.
type VirtualLink struct {
	Name   string
	Parent string // whose frames it shares
	MAC    [6]byte
	IPv6   bool // the family of its addresses
	Up     bool
	Muted  bool // while up: nothing leaves by it, not even the kernel's own answers
}

// NewVirtualLink returns the link of a virtual router, down. Its name is made of
// family, VRID and parent, which is shortened where it has to be.
func NewVirtualLink(parent string, vrid uint8, six bool) VirtualLink {
	l := VirtualLink{Parent: parent, MAC: [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, vrid}, IPv6: six}
	family := 4
	if six {
		family, l.MAC[4] = 6, 0x02
	}
	start := fmt.Sprintf("vr%d.%d.", family, vrid)
	if l.Name = start + parent; len(l.Name) > maxLinkName {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(parent))
		l.Name = (start + fmt.Sprintf("%016x", sum.Sum64()))[:maxLinkName]
	}
	return l
}

// String returns "vr4.51.eth0 (00:00:5e:00:01:33 on eth0)".
func (l VirtualLink) String() string {
	return fmt.Sprintf("%s (%s on %s)", l.Name, net.HardwareAddr(l.MAC[:]), l.Parent)
}

// VirtualLinkError is what went wrong with one link.
type VirtualLinkError struct {
	Name string
	Op   string // "adding", "removing", "raising", "lowering" or "setting up"
	Err  error
}

func (e *VirtualLinkError) Error() string {
	return fmt.Sprintf("%s virtual interface %s: %v", e.Op, e.Name, e.Err)
}

// Unwrap returns the cause.
func (e *VirtualLinkError) Unwrap() error { return e.Err }

// VirtualLinkResult says what a call did.
type VirtualLinkResult struct {
	Changed []string // "added vr4.51.eth0 (...)", in order
	Failed  []*VirtualLinkError
}

// Err returns all failures as one error, nil if there are none.
func (r VirtualLinkResult) Err() error {
	var errs []error
	for _, e := range r.Failed {
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

func (r *VirtualLinkResult) note(op, past string, l VirtualLink, err error) {
	if err != nil {
		r.Failed = append(r.Failed, &VirtualLinkError{Name: l.Name, Op: op, Err: explain(err)})
		return
	}
	r.Changed = append(r.Changed, past+" "+l.String())
}

// PrepareVirtualLinks makes the links of ours the desired ones, but raises none: it
// takes away what is not desired, lowers what shall be down, and adds what is
// missing. Only links that we added are touched. The addresses of a link go with it,
// and fall silent with it: to let go of an address, lower its link first.
func PrepareVirtualLinks(ctx context.Context, desired []VirtualLink) (VirtualLinkResult, error) {
	return virtualLinks{kernelLinks{}}.prepare(ctx, desired)
}

// RaiseVirtualLinks brings up the desired links that are to be up. From then on
// this host answers for the addresses on them.
func RaiseVirtualLinks(ctx context.Context, desired []VirtualLink) (VirtualLinkResult, error) {
	return virtualLinks{kernelLinks{}}.raise(ctx, desired)
}

// virtualKernel is what virtualLinks needs from the kernel.
type virtualKernel interface {
	links(ctx context.Context) ([]Link, error)
	add(parent Link, l VirtualLink) error
	remove(index int) error
	setUp(index int, up bool) error
	muted(index int) (bool, error)
	mute(index int, mute bool) error
	readSysctl(path string) (string, error)
	writeSysctl(path, value string) error
}

type virtualLinks struct{ virtualKernel }

var (
	errTaken = errors.New("an interface of that name is there, and not haldir's (remedy: ip link delete it, or give the " +
		"virtual router another router_id)")
	errOnMacvlan = errors.New("its parent is a macvlan itself, which would not hear another master with the same MAC address " +
		"(remedy: the interface below, or vmac = false)")
)

func (v virtualLinks) prepare(ctx context.Context, desired []VirtualLink) (VirtualLinkResult, error) {
	var result VirtualLinkResult
	links, err := v.links(ctx)
	if err != nil {
		return result, err
	}
	for _, l := range links {
		if l.Virtual && !slices.ContainsFunc(desired, func(d VirtualLink) bool { return d.is(l, links) }) {
			result.note("removing", "removed", virtualOf(l, links), v.remove(l.Index))
		}
	}
	// Silence first: another node answers already.
	for _, d := range desired {
		if l, there := find(links, d.Name); there && d.is(l, links) && l.Up && !d.Up {
			result.note("lowering", "lowered", d, v.setUp(l.Index, false))
		}
	}
	for _, d := range desired {
		l, there := find(links, d.Name)
		switch {
		case there && d.is(l, links):
			if l.Up && d.Up {
				v.speak(d, l, &result)
			}
		case there && !l.Virtual:
			result.note("adding", "", d, errTaken)
			continue
		default:
			result.note("adding", "added", d, v.addTo(d, links))
		}
		if err := v.setParameters(d); err != nil {
			result.note("setting up", "", d, err)
		}
	}
	return result, nil
}

// speak mutes a link that is up, or ends that. One that cannot be muted is lowered.
func (v virtualLinks) speak(d VirtualLink, l Link, result *VirtualLinkResult) {
	muted, err := v.muted(l.Index)
	if err == nil && muted == d.Muted {
		return
	}
	if err == nil {
		err = v.mute(l.Index, d.Muted)
	}
	switch {
	case err == nil && d.Muted:
		result.note("", "muted", d, nil)
	case err == nil:
		result.note("", "unmuted", d, nil)
	case d.Muted:
		result.note("lowering", fmt.Sprintf("lowered, since it cannot be muted (%v),", err), d, v.setUp(l.Index, false))
	default:
		result.note("unmuting", "", d, err)
	}
}

func (v virtualLinks) addTo(d VirtualLink, links []Link) error {
	parent, there := find(links, d.Parent)
	switch {
	case !there:
		return fmt.Errorf("%s: %w", d.Parent, ErrNoInterface)
	case parent.Type == "macvlan" || parent.Type == "macvtap":
		return errOnMacvlan
	}
	return v.add(parent, d)
}

func (v virtualLinks) raise(ctx context.Context, desired []VirtualLink) (VirtualLinkResult, error) {
	var result VirtualLinkResult
	links, err := v.links(ctx)
	if err != nil {
		return result, err
	}
	for _, d := range desired {
		// One that is to be muted is not worth raising.
		if l, there := find(links, d.Name); there && d.is(l, links) && !l.Up && d.Up && !d.Muted {
			result.note("raising", "raised", d, v.raiseOne(d, l))
		}
	}
	return result, nil
}

func (v virtualLinks) raiseOne(d VirtualLink, l Link) error {
	muted, err := v.muted(l.Index)
	if err == nil && muted {
		err = v.mute(l.Index, false)
	}
	if err != nil {
		return err
	}
	return v.setUp(l.Index, true)
}

// is reports whether a link is this one, up or down.
func (d VirtualLink) is(l Link, links []Link) bool {
	parent, there := find(links, d.Parent)
	return l.Virtual && l.Name == d.Name && slices.Equal(l.MAC, d.MAC[:]) && there && l.Parent == parent.Index
}

func find(links []Link, name string) (Link, bool) {
	i := slices.IndexFunc(links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return links[i], true
}

// virtualOf describes a link of ours that nobody wants.
func virtualOf(l Link, links []Link) VirtualLink {
	out := VirtualLink{Name: l.Name, Parent: fmt.Sprintf("interface %d", l.Parent)}
	copy(out.MAC[:], l.MAC)
	for _, p := range links {
		if p.Index == l.Parent {
			out.Parent = p.Name
		}
	}
	return out
}

// setParameters sets what makes a link answer for its own addresses, with its own
// MAC address, and say nothing else. They need no undoing: they go with the link.
func (v virtualLinks) setParameters(d VirtualLink) error {
	want, err := v.parameters(d)
	if err != nil {
		return err
	}
	for _, s := range want {
		now, err := v.readSysctl(s.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without the family, or older than the parameter
		}
		if err == nil && !sameValue(now, s.Value) {
			err = v.writeSysctl(s.Path, s.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v virtualLinks) parameters(d VirtualLink) ([]Sysctl, error) {
	four, six := "net/ipv4/conf/"+d.Name+"/", "net/ipv6/conf/"+d.Name+"/"
	if !d.IPv6 {
		forwarding, err := v.readSysctl("net/ipv4/conf/" + d.Parent + "/forwarding")
		if err != nil {
			return nil, err
		}
		return []Sysctl{
			{six + "disable_ipv6", "1"},
			// Packets of clients come in here; the way back is by the parent.
			{four + "rp_filter", "2"},
			{four + "arp_filter", "0"},
			// The parent's addresses are not to be had at this MAC address.
			{four + "arp_ignore", "1"},
			{four + "arp_announce", "2"},
			// The kernel's own announcement is a request, see package arp.
			{four + "arp_notify", "0"},
			{four + "send_redirects", "0"},
			{four + "forwarding", forwarding},
		}, nil
	}
	forwarding, err := v.readSysctl("net/ipv6/conf/" + d.Parent + "/forwarding")
	if err != nil {
		return nil, err
	}
	return []Sysctl{
		{four + "arp_ignore", "8"}, // no address of IPv4 is at this MAC address
		{six + "accept_ra", "0"},
		{six + "autoconf", "0"},
		{six + "router_solicitations", "0"},
		{six + "accept_dad", "0"},
		{six + "dad_transmits", "0"},
		{six + "ndisc_notify", "0"},
		{six + "forwarding", forwarding},
		{six + "disable_ipv6", "0"},
	}, nil
}

// VirtualParentSysctls are what the interface below a virtual link of IPv4 has to be
// like: it must not answer for the addresses above it, nor ask from them, since
// both would tell neighbours its own MAC address.
func VirtualParentSysctls(parent string) []Sysctl {
	return []Sysctl{
		{"net/ipv4/conf/" + parent + "/arp_ignore", "1"},
		{"net/ipv4/conf/" + parent + "/arp_announce", "2"},
	}
}
