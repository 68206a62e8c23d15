package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// uplink sets the tracked link of a node; every node has a lo.
func (p *pair) uplink(n *Node, up bool) {
	p.t.Helper()
	link, err := n.ns.links.LinkByName("lo")
	p.must(err)
	if up {
		p.must(n.ns.links.LinkSetUp(link))
	} else {
		p.must(n.ns.links.LinkSetDown(link))
	}
}

// A tracker that fails on the master hands over, and takes back when it is up
// again, without the loss of a request. Those who are told hear of every step.
func TestAFailingTrackerHandsOverWithoutLoss(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	spec := DefaultSpec(ForwardNone)
	spec.Lab.Extra = fmt.Sprintf(`track = [{ interface = "lo" }]
[vrrp.notify]
any = ["/bin/sh", "-c", 'echo "$HALDIR_NODE $3 $HALDIR_REASON" >>%s', "sh"]
user = "root"
`, told)
	p := newPair(t, spec)
	ctx := bound(t, patience)
	p.uplink(p.d1, false)
	p.served("d2")
	p.holds(p.d2)
	p.must(Await(ctx, "d1 to say why", func(ctx context.Context) error {
		status, err := p.d1.Status(ctx)
		if err != nil {
			return err
		}
		r := status.Routers[0]
		if r.State != "init" || r.Ineligible != "tracker down" || r.Trackers[0].Effect != "not eligible" {
			return fmt.Errorf("state %s, ineligible %q, tracker %+v", r.State, r.Ineligible, r.Trackers[0])
		}
		return nil
	}))
	p.mark("back")
	p.uplink(p.d1, true)
	p.state(p.d1, "master")
	p.served("d1")
	p.holds(p.d1)
	reports := p.reports()
	for _, phase := range []string{"test", "back"} {
		for _, stream := range []string{"udp", "tcp"} {
			p.clean(p.report(reports, stream, phase))
		}
	}
	// On a busy machine BACKUP may be over before its program is run.
	want := []string{"MASTER master silent", "FAULT tracker down", "MASTER master silent"}
	p.must(Await(ctx, "the notifications", func(context.Context) error {
		text, err := os.ReadFile(told)
		if err != nil {
			return err
		}
		var lines []string
		for line := range strings.Lines(string(text)) {
			if mine, ok := strings.CutPrefix(strings.TrimSpace(line), "d1 "); ok && !strings.HasPrefix(mine, "BACKUP ") {
				lines = append(lines, mine)
			}
		}
		if !slices.Equal(lines, want) {
			return fmt.Errorf("d1 told %q, want %q", lines, want)
		}
		return nil
	}))
}
