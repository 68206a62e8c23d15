package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// layout is where the kernel puts the parts of one entry of the old iptables
// (struct ipt_entry, struct ip6t_entry).
type layout struct {
	v6         bool
	addressLen int
	interfaces int // offset of the two names, after which their masks follow
	protocol   int
	flags      int
	invflags   int
	target     int // offset of target_offset and next_offset
	matches    int // offset of the first match
}

var (
	layout4 = layout{addressLen: 4, interfaces: 16, protocol: 80, flags: 82, invflags: 83, target: 88, matches: 112}
	layout6 = layout{v6: true, addressLen: 16, interfaces: 64, protocol: 128, flags: 131, invflags: 132, target: 140, matches: 168}
)

// Bits of flags and invflags.
const (
	flagGoto6 = 0x4
	flagGoto4 = 0x2
	// Fragments but the first, of which none is followed here.
	flagFragment4 = 0x1
	invIn         = 0x01
	invOut        = 0x02
	invSource     = 0x08
	invDest       = 0x10
	invProtocol   = 0x40
)

const nameLen = 16 // of an interface

var errShort = errors.New("the table ends within an entry")

// legacyHooks are the kernel's numbers.
var legacyHooks = [5]Hook{Prerouting, Input, Forward, Output, Postrouting}

// legacyPriorities of the tables, as the kernel registers them.
var legacyPriorities = map[string]int{"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}

// legacyTable is one table as the kernel hands it out.
type legacyTable struct {
	name    string
	valid   uint32 // bits of hooks
	entry   [5]uint32
	policy  [5]uint32 // where the policy's entry is (underflow)
	entries []byte
}

// parseLegacy turns a table into chains.
func parseLegacy(l layout, t legacyTable) ([]*chain, bool, error) {
	p := &legacyParser{layout: l, table: t, at: map[uint32]*chain{}}
	if err := p.heads(); err != nil {
		return nil, false, err
	}
	if err := p.fill(); err != nil {
		return nil, false, err
	}
	return p.chains, p.tracking, nil
}

type legacyParser struct {
	layout
	table    legacyTable
	chains   []*chain
	at       map[uint32]*chain // by the offset of their first entry
	tracking bool
}

// legacyEntry is one entry of a table.
type legacyEntry struct {
	offset, next uint32
	data         []byte
	target       string
	rest         []byte // of the target
}

// each calls do with every entry in turn.
func (p *legacyParser) each(do func(legacyEntry) error) error {
	all := p.table.entries
	for offset := 0; offset < len(all); {
		if len(all)-offset < p.matches {
			return errShort
		}
		data := all[offset:]
		target := int(binary.NativeEndian.Uint16(data[p.layout.target:]))
		length := int(binary.NativeEndian.Uint16(data[p.layout.target+2:]))
		if length > len(data) || target < p.matches || target+32 > length {
			return errShort
		}
		data = data[:length]
		e := legacyEntry{offset: uint32(offset), next: uint32(offset + length), data: data, target: text(data[target+2 : target+31]), rest: data[target+32:]}
		if err := do(e); err != nil {
			return err
		}
		offset += length
	}
	return nil
}

// heads finds where chains begin: at the hooks, and after an ERROR target, which
// names a user's chain.
func (p *legacyParser) heads() error {
	family := "iptables"
	if p.v6 {
		family = "ip6tables"
	}
	label := func(chain string) string {
		return fmt.Sprintf("chain %s of table %s (%s)", chain, p.table.name, family)
	}
	place := func(chain string) Place { return Place{Program: family + "-legacy", Table: p.table.name, Chain: chain} }
	for i, hook := range legacyHooks {
		if p.table.valid&(1<<i) == 0 {
			continue
		}
		c := &chain{
			label: label(strings.ToUpper(string(hook))), place: place(strings.ToUpper(string(hook))),
			hook: hook, priority: legacyPriorities[p.table.name],
			takes: func(packet *Packet) bool { return !packet.ARP && packet.Source.Is4() != p.v6 },
		}
		p.at[p.table.entry[i]] = c
		p.chains = append(p.chains, c)
	}
	return p.each(func(e legacyEntry) error {
		if e.target == "ERROR" && int(e.next) < len(p.table.entries) {
			c := &chain{label: label(text(e.rest)), place: place(text(e.rest))}
			p.at[e.next] = c
			p.chains = append(p.chains, c)
		}
		return nil
	})
}

func (p *legacyParser) fill() error {
	var current *chain
	number := 0
	return p.each(func(e legacyEntry) error {
		if c := p.at[e.offset]; c != nil {
			current, number = c, 0
		}
		if current == nil || e.target == "ERROR" {
			return nil
		}
		does, err := p.action(e)
		if err != nil {
			return err
		}
		number++
		for i, hook := range legacyHooks {
			if p.table.valid&(1<<i) != 0 && current.hook == hook && e.offset == p.table.policy[i] {
				current.drops = does.kind == drop
				return nil
			}
		}
		matches := p.conditions(e)
		current.rules = append(current.rules, rule{
			label:  fmt.Sprintf("rule %d of %s", number, current.label),
			decide: func(packet *Packet) (truth, action) { return matches(packet), does },
		})
		return nil
	})
}

// action reads the target of an entry.
func (p *legacyParser) action(e legacyEntry) (action, error) {
	if e.target == "REJECT" {
		return action{kind: drop}, nil
	}
	if e.target == "MARK" || e.target == "CONNMARK" {
		return action{kind: next, remark: targetMark(e.target, e.rest)}, nil
	}
	if e.target != "" {
		return action{kind: next}, nil // LOG and the like decide nothing
	}
	if len(e.rest) < 4 {
		return action{}, errShort
	}
	switch v := int32(binary.NativeEndian.Uint32(e.rest)); {
	case v == -1:
		return action{kind: drop}, nil
	case v == -2:
		return action{kind: accept}, nil
	case v == -5:
		return action{kind: leave}, nil
	case v < 0:
		return action{kind: next}, nil
	case uint32(v) == e.next:
		return action{kind: next}, nil // a rule without a target
	default:
		kind, goes := jump, byte(flagGoto4)
		if p.v6 {
			goes = flagGoto6
		}
		if e.data[p.flags]&goes != 0 {
			kind = jumpForGood
		}
		return action{kind: kind, target: p.at[uint32(v)]}, nil
	}
}

// conditions reads what an entry demands of a packet.
func (p *legacyParser) conditions(e legacyEntry) func(*Packet) truth {
	n := p.addressLen
	source, destination := e.data[:n], e.data[n:2*n]
	sourceMask, destinationMask := e.data[2*n:3*n], e.data[3*n:4*n]
	names := e.data[p.interfaces:]
	in, out, inMask, outMask := names[:nameLen], names[nameLen:2*nameLen], names[2*nameLen:3*nameLen], names[3*nameLen:4*nameLen]
	protocol := binary.NativeEndian.Uint16(e.data[p.protocol:])
	inverted := e.data[p.invflags]
	fragments := !p.v6 && e.data[p.flags]&flagFragment4 != 0
	extensions := p.extensions(e)
	return func(packet *Packet) truth {
		from := sameAddress(packet.Source, packet.AnySource, source, sourceMask, inverted&invSource != 0)
		to := sameAddress(packet.Destination, packet.AnyDestination, destination, destinationMask, inverted&invDest != 0)
		ok := sameName(packet.In, in, inMask) != (inverted&invIn != 0) &&
			sameName(packet.Out, out, outMask) != (inverted&invOut != 0) &&
			(protocol == 0 || (uint16(packet.Protocol) == protocol) != (inverted&invProtocol != 0)) &&
			!fragments
		matches := truthOf(ok).and(from).and(to)
		for _, ext := range extensions {
			if matches == no {
				return no
			}
			matches = matches.and(ext(packet))
		}
		return matches
	}
}

func sameAddress(a netip.Addr, unknown bool, want, mask []byte, inverted bool) truth {
	same := true
	for i, b := range a.AsSlice() {
		if i < len(mask) && mask[i] != 0 && unknown {
			return maybe
		}
		same = same && i < len(want) && b&mask[i] == want[i]
	}
	return truthOf(same != inverted)
}

func sameName(s string, want, mask []byte) bool {
	var have [nameLen]byte
	copy(have[:], s)
	for i := range have {
		if (have[i]^want[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}

// extensions reads the matches of an entry, one of which it does not know is
// uncertain.
func (p *legacyParser) extensions(e legacyEntry) []func(*Packet) truth {
	var list []func(*Packet) truth
	end := int(binary.NativeEndian.Uint16(e.data[p.layout.target:]))
	for data := e.data[p.matches:end]; len(data) >= 32; {
		size := int(binary.NativeEndian.Uint16(data))
		if size < 32 || size > len(data) {
			return append(list, func(*Packet) truth { return maybe })
		}
		list = append(list, p.extension(text(data[2:31]), data[31], data[32:size]))
		data = data[size:]
	}
	return list
}

func (p *legacyParser) extension(name string, revision byte, info []byte) func(*Packet) truth {
	ports := func() (source, destination [2]uint16) {
		u := binary.NativeEndian
		return [2]uint16{u.Uint16(info), u.Uint16(info[2:])}, [2]uint16{u.Uint16(info[4:]), u.Uint16(info[6:])}
	}
	switch {
	case name == "tcp" && len(info) >= 12:
		source, destination := ports()
		narrowed := info[8] != 0 || info[9] != 0
		return func(packet *Packet) truth {
			return portsMatch(packet, protoTCP, source, destination, info[11], narrowed)
		}
	case name == "udp" && len(info) >= 9:
		source, destination := ports()
		return func(packet *Packet) truth { return portsMatch(packet, protoUDP, source, destination, info[8], false) }
	case name == "state" && len(info) >= 4:
		p.tracking = true
		mask := uint16(binary.NativeEndian.Uint32(info))
		return func(packet *Packet) truth { return stateMatch(packet.State, mask, false) }
	case name == "conntrack" && revision >= 2 && len(info) >= 156:
		p.tracking = true
		// After 8 addresses of 16 bytes, two times and 5 numbers come match_flags,
		// invert_flags and state_mask, 2 bytes each.
		flags, invert, mask := binary.NativeEndian.Uint16(info[146:]), binary.NativeEndian.Uint16(info[148:]), binary.NativeEndian.Uint16(info[150:])
		return func(packet *Packet) truth {
			if flags != 1 {
				return maybe
			}
			return stateMatch(packet.State, mask, invert&1 != 0)
		}
	case name == "comment":
		return func(*Packet) truth { return yes }
	}
	return func(*Packet) truth { return maybe }
}

// text is what comes before the first zero byte.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
