package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

func newConnections(s *settings) *cobra.Command {
	var f connectionFilter
	var service, real, client string
	cmd := &cobra.Command{
		Use:   "connections",
		Short: "List the kernel's IPVS connections",
		Long: `List the entries of the kernel's connection table in this network namespace:
connections, and the templates by which persistence keeps clients on a server.
The kernel lists a table that changes meanwhile: an entry may be missing or be
there twice. haldir need not run, except for --service by name.`,
		Example: "  haldir connections --service web\n  haldir connections --real 192.0.2.11 --client 198.51.100.0/24 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.parse(real, client); err != nil {
				return usage(err)
			}
			if err := s.resolveService(cmd.Context(), service, &f); err != nil {
				return err
			}
			if err := printConnections(cmd.Context(), s.stdout, ipvsnl.Connections, f, s.json); err != nil {
				return problem(err)
			}
			return nil
		},
	}
	s.addSocket(cmd)
	s.addJSON(cmd)
	cmd.Flags().StringVar(&service, "service", "", "those of a service: its name, or an address and port such as 192.0.2.100:80")
	cmd.Flags().StringVar(&real, "real", "", "those to a real server: an address, a port may follow")
	cmd.Flags().StringVar(&client, "client", "", "those of a client: an address, or a network such as 198.51.100.0/24")
	return cmd
}

// connectionFilter says which connections are of interest. The zero value is all.
type connectionFilter struct {
	virtual map[netip.AddrPort]bool // nil is any
	real    netip.AddrPort          // port 0 is any port; invalid is any server
	client  netip.Prefix            // invalid is any
}

func (f *connectionFilter) parse(real, client string) error {
	if real != "" {
		addr, err := netip.ParseAddr(real)
		f.real = netip.AddrPortFrom(addr, 0)
		if err != nil {
			if f.real, err = netip.ParseAddrPort(real); err != nil {
				return fmt.Errorf("--real %q is neither an address nor an address and port", real)
			}
		}
	}
	if client != "" {
		prefix, err := netip.ParsePrefix(client)
		if err != nil {
			addr, addrErr := netip.ParseAddr(client)
			if addrErr != nil {
				return fmt.Errorf("--client %q is neither an address nor a network", client)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		f.client = prefix.Masked()
	}
	return nil
}

// resolveService finds the listeners of a service: by what it says, or by what the
// daemon knows of its name.
func (s *settings) resolveService(ctx context.Context, service string, f *connectionFilter) error {
	if service == "" {
		return nil
	}
	if at, err := netip.ParseAddrPort(service); err == nil {
		f.virtual = map[netip.AddrPort]bool{at: true}
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	status, err := s.client().Status(ctx)
	if err != nil {
		return problem(fmt.Errorf("finding out what service %q is: %w", service, err))
	}
	if f.virtual = listeners(status, service); f.virtual == nil {
		return usage(fmt.Errorf("there is no service %q", service))
	}
	return nil
}

func listeners(status control.Status, service string) map[netip.AddrPort]bool {
	var found map[netip.AddrPort]bool
	for _, s := range status.Services {
		if at, err := netip.ParseAddrPort(s.Listen); err == nil && s.Name == service {
			if found == nil {
				found = make(map[netip.AddrPort]bool)
			}
			found[at] = true
		}
	}
	return found
}

func (f connectionFilter) matches(c ipvsctl.Connection) bool {
	switch {
	case f.virtual != nil && !f.virtual[c.Virtual]:
	case f.real.IsValid() && (f.real.Addr() != c.Dest.Addr() || f.real.Port() != 0 && f.real.Port() != c.Dest.Port()):
	case f.client.IsValid() && !f.client.Contains(c.Client.Addr()):
	default:
		return true
	}
	return false
}

// connectionLine is a connection as JSON has it.
type connectionLine struct {
	Protocol string         `json:"protocol,omitempty"` // empty for a template of a service by mark
	Client   netip.AddrPort `json:"client"`
	Virtual  netip.AddrPort `json:"virtual"` // of a template of a service by mark, the mark
	Real     netip.AddrPort `json:"real"`
	State    string         `json:"state"`
	Expires  int            `json:"expires_s"`
	Template bool           `json:"template,omitempty"`
	Learned  bool           `json:"learned,omitempty"` // from another director
}

func lineOf(c ipvsctl.Connection) connectionLine {
	line := connectionLine{
		Client: c.Client, Virtual: c.Virtual, Real: c.Dest, State: c.State, Expires: int(c.Expires / time.Second),
		Template: c.Template(), Learned: c.Learned,
	}
	if c.Protocol != 0 {
		line.Protocol = c.Protocol.String()
	}
	return line
}

// reading calls a function for each connection until it returns false.
type reading func(context.Context, func(ipvsctl.Connection) bool) error

// printConnections prints what matches: as a table, or as JSON with one entry a
// line, so that neither grows in memory with the kernel's table.
func printConnections(ctx context.Context, w io.Writer, read reading, f connectionFilter, asJSON bool) error {
	out := bufio.NewWriter(w)
	encoder := json.NewEncoder(out)
	n, templates := 0, 0
	var writing error
	err := read(ctx, func(c ipvsctl.Connection) bool {
		if !f.matches(c) {
			return true
		}
		if n++; c.Template() {
			templates++
		}
		if line := lineOf(c); asJSON {
			writing = encoder.Encode(line)
		} else {
			_, writing = fmt.Fprintln(out, line)
		}
		return writing == nil
	})
	if err = errors.Join(err, writing); err == nil && !asJSON {
		_, err = fmt.Fprintf(out, "%s, %s\n", count(n-templates, "connection"), count(templates, "template"))
	}
	return errors.Join(err, out.Flush())
}

func (l connectionLine) String() string {
	state := l.State
	if l.Template {
		state = "TEMPLATE"
	}
	text := fmt.Sprintf("%-4s %-24s %-24s %-24s %-12s %s", l.Protocol, l.Client, l.Virtual, l.Real, state, short(time.Duration(l.Expires)*time.Second))
	if l.Learned {
		text += ", learned"
	}
	return text
}
