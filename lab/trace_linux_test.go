package lab

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/haldir-lb/haldir/internal/trace"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
)

// traced compares what haldir trace tells on the master with what the kernel's
// table has and what passes on the wire.
func (p *pair) traced() {
	p.t.Helper()
	// A connection that the kernel has decided about.
	var entry ipvsctl.Connection
	p.must(p.d1.Do(func() error {
		err := ipvsnl.Connections(bound(p.t, patience), func(c ipvsctl.Connection) bool {
			entry = c
			return c.Protocol != ipvsctl.UDP
		})
		if err == nil && !entry.Client.IsValid() {
			err = errors.New("the connection table is empty")
		}
		return err
	}))
	target := entry.Virtual.String()
	var j trace.Journey
	output := p.trace(p.d1, "--protocol", entry.Protocol.String(), entry.Client.String(), target)
	if err := json.Unmarshal([]byte(output), &j); err != nil {
		p.t.Fatalf("%v: %s", err, output)
	}
	if !j.Here || j.Service == nil || j.Service.From != "the kernel" || j.Choice == nil || len(j.Choice.Candidates) != 2 || j.Ends != "" {
		p.t.Fatalf("trace of %+v: %s", entry, output)
	}
	if j.Choice.By != "connection" || j.Choice.Real != entry.Dest {
		p.t.Errorf("trace says %s by the %s, and the table has %+v", j.Choice.Real, j.Choice.By, entry)
	}

	// What passes is what was told: the first hop and the second.
	arrives, goes := j.Hops[0], j.Hops[1]
	told := map[string]bool{}
	for line := range strings.Lines(p.trace(p.d1, "--live", "--count", "40", "--protocol", entry.Protocol.String(), entry.Client.Addr().String(), target)) {
		var f trace.Frame
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			p.t.Fatalf("%v: %s", err, line)
		}
		switch {
		case !f.Out && f.SourceMAC == arrives.SourceMAC && f.DestinationMAC == arrives.DestinationMAC && f.Destination == entry.Virtual && f.Outer == nil:
			told["arrives"] = true
		case f.Out && f.SourceMAC == goes.SourceMAC && strings.HasPrefix(f.To, "real server ") && f.Destination == entry.Virtual && f.Outer == nil:
			told["goes"] = true
			if f.DestinationMAC == goes.DestinationMAC {
				told["goes to the one that was told"] = true
			}
		default:
			p.t.Errorf("a frame that is no hop of the journey: %+v", f)
		}
	}
	if len(told) != 3 {
		p.t.Errorf("of the journey were seen %v, want it to arrive and to go to both", told)
	}
	p.t.Log(j.Choice.Why)
}

// trace runs haldir trace on a node.
func (p *pair) trace(n *Node, args ...string) string {
	p.t.Helper()
	args = append([]string{"trace", "-c", p.ConfigPath, "--node", n.Name, "--run-dir", n.RunDir(), "--json"}, args...)
	output, err := n.Haldir(bound(p.t, patience), args...)
	p.must(err)
	return output
}
