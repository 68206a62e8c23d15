package vrrp

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// simulation is a segment of Machines in simulated time. What happens in one
// instant happens in the nodes' order.
type simulation struct {
	start, now time.Time
	wire       wire
	nodes      map[string]*simNode
	groups     [][]string // of a partition; nil: none
	delay      time.Duration
	flying     []flight // in the order of arrival
	lines      []string
	repeated   int // of the last line
	lastSend   string
	lastAt     time.Duration
}

type simNode struct {
	name      string
	cfg       RouterConfig
	source    netip.Addr
	m         *Machine // nil: not running
	known     Resume   // at the crash
	sentAt    time.Time
	awakeFrom time.Time // stalled before
	inbox     []Packet  // received while stalled
	inboxFrom []netip.Addr
}

// flight is a datagram on its way.
type flight struct {
	at     time.Time
	to     *simNode
	from   netip.Addr
	packet Packet
}

// wire is how the nodes of a simulation talk.
type wire struct {
	name    string
	group   netip.Addr
	network [16]byte // of the sources; the last octet tells the nodes apart
	cfg     func(priority uint8) RouterConfig
}

// wires are all of them. Nothing that the state machine does depends on which it is.
var wires = []wire{
	{"version 3 over IPv4", Group, netip.MustParseAddr("::ffff:198.51.100.0").As16(), config},
	{"version 3 over IPv6", Group6, netip.MustParseAddr("fe80::").As16(), config6},
	{"version 2", Group, netip.MustParseAddr("::ffff:198.51.100.0").As16(), config2},
}

func (w wire) source(node int) netip.Addr {
	a := w.network
	a[15] = byte(node)
	return netip.AddrFrom16(a).Unmap()
}

func newSimulation(w wire) *simulation {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	return &simulation{start: now, now: now, wire: w, nodes: map[string]*simNode{}}
}

// command carries out one line:
//
//	node NAME priority=N [interval=D] [preempt=no] [delay=D]   add a node that is not running
//	start NAME            Startup
//	stop NAME             planned stop
//	handover NAME         give the role away on request
//	crash NAME            gone without a word
//	resume NAME           restart with what the node knew when it crashed
//	stall NAME D          not scheduled for that long; what it receives waits
//	down NAME, up NAME    the link
//	set NAME priority=N   change parameters of a running node
//	partition A,B C       cut the segment into these groups
//	heal
//	delay D               datagrams take that long; at first they take no time
//	run D                 let time pass
func (s *simulation) command(words []string) error {
	verb, args := words[0], words[1:]
	switch verb {
	case "run":
		return s.withDuration(args, 0, s.run)
	case "delay":
		return s.withDuration(args, 0, func(d time.Duration) { s.delay = d })
	case "heal":
		s.groups = nil
		return nil
	case "partition":
		s.groups = nil
		for _, group := range args {
			s.groups = append(s.groups, strings.Split(group, ","))
		}
		return nil
	case "node":
		n := &simNode{name: args[0], cfg: s.wire.cfg(100), source: s.wire.source(len(s.nodes) + 1)}
		n.cfg.Name = args[0]
		s.nodes[n.name] = n
		return n.set(args[1:])
	}
	if len(args) == 0 || s.nodes[args[0]] == nil {
		return fmt.Errorf("no such node or command")
	}
	n := s.nodes[args[0]]
	switch verb {
	case "start", "resume":
		n.m = NewMachine(n.cfg, n.source, s.now)
		ev := Event{Kind: EventStart, Reason: ReasonStart}
		if verb == "resume" {
			n.known.Silent = s.now.Sub(n.sentAt)
			ev = Event{Kind: EventResume, Resume: &n.known}
		}
		s.step(n, ev)
	case "stop":
		s.step(n, Event{Kind: EventStop, Reason: ReasonShutdown})
	case "handover":
		s.step(n, Event{Kind: EventHandover})
	case "down":
		s.step(n, Event{Kind: EventFault, Reason: ReasonLinkDown})
	case "up":
		s.step(n, Event{Kind: EventStart, Reason: ReasonLinkUp, Settled: s.now.Add(carrierSettle)})
	case "crash":
		n.known.State, n.known.Since, _ = n.m.State()
		n.known.Master, n.known.MasterInterval = n.m.Master()
		n.known.Ceded = n.m.Ceded()
		n.m = nil
		s.say(n.name + " crashes")
	case "stall":
		return s.withDuration(args, 1, func(d time.Duration) {
			n.awakeFrom = s.now.Add(d)
			s.say(n.name + " stalls")
		})
	case "set":
		if err := n.set(args[1:]); err != nil {
			return err
		}
		s.step(n, Event{Kind: EventConfigure, Config: &n.cfg})
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

func (s *simulation) withDuration(args []string, i int, fn func(time.Duration)) error {
	if len(args) <= i {
		return fmt.Errorf("a duration is missing")
	}
	d, err := time.ParseDuration(args[i])
	if err == nil {
		fn(d)
	}
	return err
}

func (n *simNode) set(options []string) error {
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		var err error
		switch key {
		case "priority":
			var p uint64
			p, err = strconv.ParseUint(value, 10, 8)
			n.cfg.Priority = uint8(p)
		case "ineligible":
			n.cfg.Ineligible = Reason(value)
		case "interval":
			n.cfg.Interval, err = time.ParseDuration(value)
		case "delay":
			n.cfg.PreemptDelay, err = time.ParseDuration(value)
		case "preempt":
			n.cfg.Preempt = value != "no"
		default:
			err = fmt.Errorf("no such option")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", option, err)
		}
	}
	return n.cfg.Validate()
}

// run lets time pass, from one thing that happens to the next.
func (s *simulation) run(d time.Duration) {
	until := s.now.Add(d)
	for {
		next := until
		var who *simNode
		for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
			n := s.nodes[name]
			if at, ok := n.wakes(); ok && at.Before(next) || ok && who == nil && at.Equal(next) {
				next, who = at, n
			}
		}
		if len(s.flying) > 0 && !s.flying[0].at.After(next) {
			f := s.flying[0]
			s.flying = s.flying[1:]
			s.now = f.at
			s.deliver(f)
			continue
		}
		s.now = next
		if who == nil {
			return
		}
		s.wake(who)
	}
}

// wakes returns when a node has something to do.
func (n *simNode) wakes() (time.Time, bool) {
	if n.m == nil {
		return time.Time{}, false
	}
	at, ok := n.m.Deadline()
	if len(n.inbox) > 0 || ok && at.Before(n.awakeFrom) {
		return n.awakeFrom, true
	}
	return at, ok
}

// wake handles what was received, and then what is due, as the Speaker does.
func (s *simulation) wake(n *simNode) {
	inbox, from := n.inbox, n.inboxFrom
	n.inbox, n.inboxFrom = nil, nil
	for i := range inbox {
		s.step(n, Event{Kind: EventPacket, From: from[i], Packet: &inbox[i]})
	}
	s.perform(n, n.m.Advance(s.now))
}

func (s *simulation) step(n *simNode, ev Event) {
	if n.m != nil {
		s.perform(n, n.m.Step(s.now, ev))
	}
}

// perform carries out a copy of the actions, because delivery leads to others.
func (s *simulation) perform(n *simNode, actions []Action) {
	for _, a := range slices.Clone(actions) {
		switch a.Kind {
		case ActionSend:
			n.sentAt = s.now
			s.send(n, a.Message)
		case ActionTransition:
			t := a.Transition
			s.say(fmt.Sprintf("%s %v to %v: %s", n.name, t.From, t.To, t.Reason))
		}
	}
}

func (s *simulation) send(from *simNode, message []byte) {
	s.saySend(fmt.Sprintf("%s sends %d", from.name, message[2]))
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		to := s.nodes[name]
		if to == from || to.m == nil || !s.together(from.name, name) {
			continue
		}
		var p Packet
		if reason := p.ParseFor(&to.cfg, &Datagram{Source: from.source, Destination: s.wire.group, TTL: 255, Payload: message}); reason != Accepted {
			s.say(fmt.Sprintf("%s drops: %v", name, reason))
			continue
		}
		s.flying = append(s.flying, flight{s.now.Add(s.delay), to, from.source, p})
	}
}

// deliver hands a datagram to a node, or to its queue while it is stalled.
func (s *simulation) deliver(f flight) {
	if s.now.Before(f.to.awakeFrom) {
		f.to.inbox, f.to.inboxFrom = append(f.to.inbox, f.packet), append(f.to.inboxFrom, f.from)
		return
	}
	s.step(f.to, Event{Kind: EventPacket, From: f.from, Packet: &f.packet})
}

func (s *simulation) together(a, b string) bool {
	return s.groups == nil || slices.ContainsFunc(s.groups, func(g []string) bool {
		return slices.Contains(g, a) && slices.Contains(g, b)
	})
}

func (s *simulation) say(what string) {
	s.endRepetition()
	s.lines = append(s.lines, fmt.Sprintf("%v %s", s.now.Sub(s.start), what))
}

// saySend writes adverts that follow one another as one line.
func (s *simulation) saySend(what string) {
	if what == s.lastSend {
		s.repeated++
		s.lastAt = s.now.Sub(s.start)
		return
	}
	s.say(what)
	s.lastSend = what
}

func (s *simulation) endRepetition() {
	if s.repeated > 0 {
		s.lines[len(s.lines)-1] += fmt.Sprintf(", %d more until %v", s.repeated, s.lastAt)
	}
	s.repeated, s.lastSend = 0, ""
}

func (s *simulation) take() []string {
	s.endRepetition()
	lines := s.lines
	s.lines = nil
	return lines
}
