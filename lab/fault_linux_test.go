package lab

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/lab/traffic"
)

func answered(tick traffic.Tick) bool   { return tick.Sent > 0 && tick.Good() == tick.Sent }
func unanswered(tick traffic.Tick) bool { return tick.Sent > 0 && tick.Good() == 0 }

// wholeUDP begins the client's UDP stream alone and waits until all goes well.
func wholeUDP(t *testing.T, c *Cluster) *ClientRun {
	t.Helper()
	client, err := c.StartClient(bound(t, 10*time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Until(bound(t, 10*time.Second), "udp", "answers", answered); err != nil {
		t.Fatal(err)
	}
	return client
}

// account ends the client and returns its UDP report for a phase.
func account(t *testing.T, client *ClientRun, phase string) traffic.Report {
	t.Helper()
	reports, err := client.Stop(bound(t, 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	r, ok := Find(reports, "udp", phase)
	if !ok {
		t.Fatalf("no report for phase %q in %+v", phase, reports)
	}
	return r
}

func TestLinkFaultsAreSeenByTheClientAndTheKernel(t *testing.T) {
	tests := []struct {
		name    string
		fault   func(*Node) error
		carrier bool // during the fault
	}{
		{"cut", (*Node).Cut, false},
		{"silence", (*Node).Silence, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := direct(t)
			d1 := c.Node("d1")
			client := wholeUDP(t, c)
			if err := test.fault(d1); err != nil {
				t.Fatal(err)
			}
			if err := client.Until(bound(t, 10*time.Second), "udp", "no answers", unanswered); err != nil {
				t.Error(err)
			}
			if got, err := d1.Carrier(); got != test.carrier || err != nil {
				t.Errorf("carrier of d1 during the fault = %v, %v, want %v", got, err, test.carrier)
			}
			if err := d1.Restore(); err != nil {
				t.Fatal(err)
			}
			if err := client.Until(bound(t, 10*time.Second), "udp", "answers again", answered); err != nil {
				t.Error(err)
			}
			if got, err := d1.Carrier(); !got || err != nil {
				t.Errorf("carrier of d1 after the fault = %v, %v, want true", got, err)
			}
			r := account(t, client, "start")
			if len(r.Episodes) != 1 || r.Gap.AtLeast < 100*time.Millisecond || r.Gap.Open || r.Failed() != r.Gap.Failed {
				t.Errorf("account = %+v, want one outage that is over and holds all losses", r)
			}
		})
	}
}

func TestADeadResponderIsAnOutageOfItsLength(t *testing.T) {
	c := direct(t)
	d1 := c.Node("d1")
	client := wholeUDP(t, c)
	if err := client.Mark(bound(t, 10*time.Second), "dead"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := d1.StopResponder(bound(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := client.Until(bound(t, 10*time.Second), "udp", "refusals", func(tick traffic.Tick) bool {
		return tick.Failed > 0 && tick.Good() == 0
	}); err != nil {
		t.Fatal(err)
	}
	restart := time.Now()
	if err := d1.StartResponder(bound(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	ready := time.Now()
	if err := client.Until(bound(t, 10*time.Second), "udp", "answers again", answered); err != nil {
		t.Fatal(err)
	}
	r := account(t, client, "dead")
	if len(r.Episodes) != 1 || r.Episodes[0].Failed() != r.Gap.Failed {
		t.Fatalf("account = %+v, want one outage, in which nothing was answered", r)
	}
	// The port was certainly closed from killed to restart, and open before begin
	// and after ready; a period and the client's own lateness come on top.
	slack := 2*time.Millisecond + 2*r.Lateness.Max
	if least := restart.Sub(killed) - slack; r.Gap.Duration < least {
		t.Errorf("outage = %v, want at least %v", r.Gap.Duration, least)
	}
	if most := ready.Sub(begin) + slack; r.Gap.AtLeast > most {
		t.Errorf("outage at least = %v, want at most %v", r.Gap.AtLeast, most)
	}
	e := r.Episodes[0]
	if e.Start.Before(begin.Add(-slack)) || e.Start.After(killed.Add(slack)) {
		t.Errorf("start of the outage = %v, want between %v and %v", e.Start, begin, killed)
	}
	if r.Refused == 0 {
		t.Error("no request was refused, want ICMP errors from the closed port to be seen")
	}
}

func TestPartitionSeparatesTheDirectorsAlone(t *testing.T) {
	c := newCluster(t, DefaultSpec(ForwardNone), Options{})
	d1, d2 := c.Node("d1"), c.Node("d2")
	router := c.Node(Router)
	check := func(when string, want bool) {
		t.Helper()
		if got := hears(t, d1, d2); got != want {
			t.Errorf("%s: d1 hears d2 = %v, want %v", when, got, want)
		}
		for _, n := range []*Node{d1, d2} {
			if !hears(t, router, n) {
				t.Errorf("%s: the router does not hear %s", when, n.Name)
			}
		}
	}
	check("before", true)
	if err := c.Partition(); err != nil {
		t.Fatal(err)
	}
	check("partitioned", false)
	if err := c.Heal(); err != nil {
		t.Fatal(err)
	}
	check("healed", true)
}
