package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
)

// arpFlags are the flags of haldir arp.
type arpFlags struct {
	ifname string
	watch  bool
	own    bool
	count  int
	wait   time.Duration
}

func newARP(s *settings) *cobra.Command {
	f := arpFlags{}
	cmd := &cobra.Command{
		Use:   "arp ADDRESS",
		Short: "Ask the segment who has an address, and print every answer",
		Long: `Ask the segment who has an address, by ARP or, for IPv6, by neighbour
solicitation, and print every station that answers, with the name of those that
the configuration knows. The probes come from no address, so no neighbour's table
changes; with --own-address they come from this host's, which stations learn.

Exit status 0: one station has the address. 1: none has, or more than one.`,
		Example: "  haldir arp 192.0.2.100\n  haldir arp 2001:db8::100 -i eth0\n  haldir arp 192.0.2.100 --watch",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.arp(cmd, args[0], f) },
	}
	s.addConfig(cmd)
	s.addSocket(cmd)
	s.addJSON(cmd)
	cmd.Flags().StringVarP(&f.ifname, "interface", "i", "", "interface to ask on (default: that of the route to the address)")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "go on asking, and print what changes, until interrupted")
	cmd.Flags().BoolVar(&f.own, "own-address", false, "ask from this host's address, for stations that answer no probe from nowhere")
	cmd.Flags().IntVar(&f.count, "count", 3, "probes, spread over the timeout: 1 to 100")
	cmd.Flags().DurationVar(&f.wait, "timeout", time.Second, "how long answers are waited for: 10ms to 1m")
	return cmd
}

// owners is what haldir arp prints: who has an address.
type owners struct {
	At        time.Time  `json:"at"`
	Address   netip.Addr `json:"address"`
	Interface string     `json:"interface"`
	// Here is set if this host has the address on the interface.
	Here    bool      `json:"here"`
	Answers []station `json:"answers"`
}

// station is one that says that it has the address.
type station struct {
	MAC   string               `json:"mac"`
	Name  string               `json:"name,omitempty"`
	After control.Milliseconds `json:"after_ms"`
}

// count is how many have the address.
func (o owners) count() int {
	if o.Here {
		return len(o.Answers) + 1
	}
	return len(o.Answers)
}

// who is what changes when the address moves.
func (o owners) who() string {
	list := []string{}
	if o.Here {
		list = append(list, "this host")
	}
	for _, a := range o.Answers {
		list = append(list, a.MAC+a.inParentheses())
	}
	if len(list) == 0 {
		return "nobody"
	}
	return strings.Join(list, " and ")
}

func (s station) inParentheses() string {
	if s.Name == "" {
		return ""
	}
	return " (" + s.Name + ")"
}

func (s *settings) arp(cmd *cobra.Command, text string, f arpFlags) error {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return usage(fmt.Errorf("%q is no address", text))
	}
	if f.count < 1 || f.count > 100 {
		return usage(fmt.Errorf("--count %d: legal is 1 to 100", f.count))
	}
	if f.wait < 10*time.Millisecond || f.wait > time.Minute {
		return usage(fmt.Errorf("--timeout %s: legal is 10ms to 1m", f.wait))
	}
	if f.ifname == "" {
		f.ifname = addr.Zone()
	}
	addr = addr.WithZone("").Unmap()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	in, _, err := s.readPatient(ctx, cmd.Flags().Changed("config"), addr)
	if err != nil {
		return usage(err)
	}
	a := asker{flags: f, host: in.Host, directory: doctor.NewDirectory(in)}
	a.question = arp.Question{Address: addr, Wait: f.wait, Count: f.count}
	if a.question.Interface, err = segmentOf(in.Host, addr, f.ifname); err != nil {
		return usage(err)
	}
	if f.own {
		if a.question.From = ownAddress(in.Host, a.question.Interface, addr); !a.question.From.IsValid() {
			return usage(fmt.Errorf("%s has no address to ask from for %s", a.question.Interface, addr))
		}
	}
	if f.watch {
		return s.watchOwners(ctx, &a)
	}
	found, err := a.ask(ctx)
	if err != nil {
		return problem(err)
	}
	if s.json {
		err = printJSON(s.stdout, found)
	} else {
		_, err = io.WriteString(s.stdout, renderOwners(found, palette(colourful(s.stdout))))
	}
	if err != nil {
		return problem(err)
	}
	if found.count() != 1 {
		return &statusError{code: exitProblem}
	}
	return nil
}

// segmentOf chooses the interface to ask on.
func segmentOf(h *facts.Host, addr netip.Addr, asked string) (string, error) {
	if asked != "" {
		if _, ok := h.Link(asked); !ok {
			return "", fmt.Errorf("there is no interface %q", asked)
		}
		return asked, nil
	}
	// An address that this host has is asked for where its network is.
	for _, a := range h.Addresses {
		link, _ := h.Link(a.Interface)
		if a.Prefix.Contains(addr) && !link.Loopback && !link.NoARP && !addr.IsLinkLocalUnicast() {
			return a.Interface, nil
		}
	}
	way, ok := h.Ways[addr]
	switch {
	case !ok || way.Local:
		return "", fmt.Errorf("which interface %s is behind is not clear: name it with --interface", addr)
	case way.Gateway.IsValid():
		return "", fmt.Errorf("%s is not in a segment of this host but behind router %s: ask on a host of its segment, or name an interface with --interface", addr, way.Gateway)
	}
	return way.Interface, nil
}

// ownAddress is an address of an interface to ask from, other than the one that is
// asked for.
func ownAddress(h *facts.Host, ifname string, asked netip.Addr) netip.Addr {
	for _, a := range h.Addresses {
		own := a.Prefix.Addr()
		if a.Interface == ifname && own != asked && own.Is4() == asked.Is4() && own.IsLinkLocalUnicast() == asked.IsLinkLocalUnicast() {
			return own
		}
	}
	return netip.Addr{}
}

// asker asks for one address, and for machines that may be the answer.
type asker struct {
	flags     arpFlags
	host      *facts.Host
	question  arp.Question
	directory *doctor.Directory
	named     bool // the machines were asked for
}

func (a *asker) ask(ctx context.Context) (owners, error) {
	var wait sync.WaitGroup
	if !a.named {
		a.named = true
		wait.Go(func() { a.findMachines(ctx) })
	}
	found := owners{At: time.Now(), Address: a.question.Address, Interface: a.question.Interface, Answers: []station{}}
	answers, err := arp.Ask(ctx, a.question)
	wait.Wait()
	if err != nil {
		return found, err
	}
	holders, err := net.InterfaceByName(a.question.Interface)
	if err == nil {
		found.Here = holdsAddress(holders, a.question.Address)
	}
	for _, answer := range answers {
		found.Answers = append(found.Answers, station{answer.MAC.String(), a.directory.Name(answer.MAC), control.Of(answer.After)})
	}
	return found, nil
}

func holdsAddress(ifi *net.Interface, addr netip.Addr) bool {
	list, err := ifi.Addrs()
	if err != nil {
		return false
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// mostMachines bounds the questions for machines whose MAC is not known yet.
const mostMachines = 32

// findMachines asks where the cluster's machines are, so that answers have names.
// Those that do not answer have none.
func (a *asker) findMachines(ctx context.Context) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	asked := 0
	for addr, name := range a.directory.Ask() {
		if addr == a.question.Address || asked == mostMachines {
			continue
		}
		asked++
		wait.Go(func() {
			answers, err := arp.Probe(ctx, a.question.Interface, addr, a.question.Wait)
			if err != nil || len(answers) != 1 {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			a.directory.Learn(answers[0].MAC, name)
		})
	}
	wait.Wait()
}

// watchOwners asks until it is interrupted, and prints what changes.
func (s *settings) watchOwners(ctx context.Context, a *asker) error {
	last, conflict := "", false
	for ctx.Err() == nil {
		found, err := a.ask(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return problem(err)
		}
		conflict = conflict || found.count() > 1
		if found.who() == last {
			continue
		}
		if s.json {
			err = json.NewEncoder(s.stdout).Encode(found)
		} else {
			_, err = io.WriteString(s.stdout, renderChange(found, last, palette(colourful(s.stdout))))
		}
		if err != nil {
			return problem(err)
		}
		last = found.who()
	}
	if conflict {
		return problem(errors.New("more than one station had the address at a time"))
	}
	return nil
}

func renderChange(o owners, last string, p paint) string {
	line := fmt.Sprintf("%s  %s: %s", o.At.Format("15:04:05.000"), o.Address, o.who())
	if last != "" {
		line += ", was " + last
	}
	if o.count() != 1 {
		line = p.bad(line)
	}
	return line + "\n"
}

// renderOwners is a pure function of its arguments.
func renderOwners(o owners, p paint) string {
	var b strings.Builder
	if o.Here {
		fmt.Fprintf(&b, "%s  this host has it on %s\n", o.Address, o.Interface)
	}
	for _, a := range o.Answers {
		name := a.Name
		if name == "" {
			name = p.faint("unknown machine")
		}
		fmt.Fprintf(&b, "%s  is at %s  %s  %s\n", o.Address, p.head(a.MAC), name, p.faint("after "+short(a.After.Duration())))
	}
	switch n := o.count(); {
	case n == 0:
		fmt.Fprintf(&b, "%s\n", p.bad(fmt.Sprintf("nobody on %s has %s", o.Interface, o.Address)))
	case n > 1:
		fmt.Fprintf(&b, "%s\n", p.bad(fmt.Sprintf("%d stations have %s", n, o.Address)))
	}
	return b.String()
}
