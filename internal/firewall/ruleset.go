package firewall

import (
	"cmp"
	"slices"
)

// Ruleset is all that was read.
type Ruleset struct {
	chains []*chain
	// tracking is set where a rule asks for the state of connections.
	tracking bool
}

// chain is a list of rules; one with a hook is where the kernel begins.
type chain struct {
	label    string // "chain input of table inet filter"
	place    Place
	hook     Hook // empty where other chains jump to it
	priority int
	// device is the interface of an ingress chain.
	device string
	// takes reports whether packets of this family pass the chain.
	takes func(*Packet) bool
	drops bool // the policy
	rules []rule
}

// rule is what the kernel does where the packet matches.
type rule struct {
	label  string
	decide func(*Packet) (truth, action)
}

// truth is the answer of a match.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// and is the weaker one.
func (t truth) and(o truth) truth { return min(t, o) }

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// action is what a rule does.
type action struct {
	kind   kind
	target *chain
	remark *remark // nil: the mark stays
}

// remark is a change of the mark: the bits of mask are cleared, then those of flip
// turned over.
type remark struct {
	mask, flip uint32
	unclear    bool // what it does is not known
}

type kind uint8

const (
	next kind = iota
	accept
	drop
	leave // return to the chain that jumped here
	jump
	jumpForGood // goto: a return goes past the chain that jumped
)

// Fate is what becomes of a packet.
type Fate string

// The fates.
const (
	Passes  Fate = "passes"
	Dropped Fate = "dropped"
	// Unclear: a rule that would decide looks at something that is not known here.
	Unclear Fate = "unclear"
)

// Decision is the fate of a packet and the rule that decides it; for what passes
// there may be none.
type Decision struct {
	Fate Fate
	Rule string
	// Place is the chain of the rule or policy that drops it; the zero value if it
	// passes, or may pass.
	Place Place
	Mark  Mark // as the packet leaves the hook
}

// Place is where rules are.
type Place struct {
	// Program changes them: "nft", "iptables", "iptables-legacy", or the same for
	// IPv6.
	Program string
	Family  string // of nftables: "inet", "ip", "ip6", "arp", "netdev"
	Table   string
	Chain   string
}

// Follow says what becomes of a packet at a hook.
func (r *Ruleset) Follow(hook Hook, p Packet) Decision {
	if r == nil {
		return Decision{Fate: Passes}
	}
	d := r.follow(hook, &p)
	d.Mark = p.mark
	return d
}

func (r *Ruleset) follow(hook Hook, p *Packet) Decision {
	unclear := ""
	for _, c := range r.at(hook, p) {
		w := walk{packet: p}
		end := w.through(c, 0)
		if end == next || end == leave {
			end = accept
			if c.drops {
				end, w.last, w.place = drop, "policy of "+c.label, c.place
			}
		}
		// What might have been let pass before it was dropped, or dropped before it
		// was let pass, is unclear.
		switch {
		case end == drop && w.mayAccept == "":
			if unclear != "" {
				return Decision{Fate: Unclear, Rule: unclear}
			}
			return Decision{Fate: Dropped, Rule: w.last, Place: w.place}
		case end == drop:
			unclear = cmp.Or(unclear, w.mayAccept)
		case w.mayDrop != "":
			unclear = cmp.Or(unclear, w.mayDrop)
		}
	}
	if unclear != "" {
		return Decision{Fate: Unclear, Rule: unclear}
	}
	return Decision{Fate: Passes}
}

// at returns the chains of a hook that the packet passes, in the kernel's order.
func (r *Ruleset) at(hook Hook, p *Packet) []*chain {
	var list []*chain
	for _, c := range r.chains {
		if c.hook == hook && c.takes(p) && (c.device == "" || c.device == p.In) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *chain) int { return cmp.Compare(a.priority, b.priority) })
	return list
}

// Tracks reports whether some rule asks for the state of connections.
func (r *Ruleset) Tracks() bool { return r != nil && r.tracking }

// walk is one way through a chain and those it jumps to.
type walk struct {
	packet *Packet
	last   string // the rule that dropped it
	place  Place  // of it
	// mayAccept and mayDrop are rules that would have, if they matched.
	mayAccept, mayDrop string
	perhaps            bool // the chain is perhaps not entered
}

// deepest is how many jumps the kernel allows (NFT_JUMP_STACK_SIZE).
const deepest = 16

func (w *walk) through(c *chain, depth int) kind {
	for _, r := range c.rules {
		matches, does := r.decide(w.packet)
		if matches != no && does.remark != nil {
			w.packet.mark.change(*does.remark, r.label, matches == maybe || w.perhaps)
		}
		if matches == no || does.kind == next {
			continue
		}
		if does.kind == jump || does.kind == jumpForGood {
			if does.target == nil || depth == deepest {
				continue
			}
			end := w.jump(does.target, depth+1, matches, r.label)
			if end == accept || end == drop {
				return end
			}
			if does.kind == jumpForGood && matches == yes {
				return leave
			}
			continue
		}
		if matches == yes {
			w.last, w.place = r.label, c.place
			return does.kind
		}
		switch does.kind {
		case accept:
			w.mayAccept = cmp.Or(w.mayAccept, r.label)
		case drop:
			w.mayDrop = cmp.Or(w.mayDrop, r.label)
		case leave:
			// Either the rest of the chain counts or it does not.
			w.mayAccept, w.mayDrop = cmp.Or(w.mayAccept, r.label), cmp.Or(w.mayDrop, r.label)
		}
	}
	return next
}

// jump follows a jump; what a chain decides that is perhaps not entered is only
// perhaps decided.
func (w *walk) jump(target *chain, depth int, matches truth, label string) kind {
	before := w.perhaps
	w.perhaps = before || matches == maybe
	end := w.through(target, depth)
	w.perhaps = before
	if matches == yes {
		return end
	}
	switch end {
	case accept:
		w.mayAccept = cmp.Or(w.mayAccept, label)
	case drop:
		w.mayDrop = cmp.Or(w.mayDrop, label)
	}
	return next
}

// change notes what a rule does to the mark, or perhaps does.
func (m *Mark) change(r remark, by string, perhaps bool) {
	value := m.Value&^r.mask ^ r.flip
	switch {
	case r.unclear, perhaps && value != m.Value:
		m.By, m.Unclear = by, true
	case !perhaps:
		m.Value, m.By, m.Unclear = value, by, m.Unclear && r.mask != ^uint32(0)
	}
}
