package director

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// servers are members by their health: u up, d down, ? not judged, with a
// weight of 1 each.
func servers(health string) []member {
	var out []member
	for _, h := range health {
		status := map[rune]healthcheck.Status{'u': healthcheck.Up, 'd': healthcheck.Down, '?': healthcheck.Unknown}[h]
		out = append(out, member{weight: 1, health: status})
	}
	return out
}

// seats writes the weights of a pool's seats, - for those that are not in it.
func seats(p Pool) string {
	var b strings.Builder
	for _, s := range p.Seats {
		if s.In {
			b.WriteByte("0123456789"[s.Weight])
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

var sorryServer = &config.Real{Address: vip.Prefix.Addr().Next(), Weight: 1}

func TestPoolPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		policy  config.Pool
		members []member
		before  Quorum
		state   PoolState
		seats   string
	}{
		"all up":            {config.Pool{Quorum: 1}, servers("uu"), QuorumMet, PoolOK, "11"},
		"down is removed":   {config.Pool{Quorum: 1, OnFailure: "remove"}, servers("ud"), QuorumMet, PoolOK, "1-"},
		"down is quiesced":  {config.Pool{Quorum: 1, OnFailure: "quiesce"}, servers("ud"), QuorumMet, PoolOK, "10"},
		"not judged is out": {config.Pool{Quorum: 1, OnFailure: "quiesce"}, servers("u?"), QuorumMet, PoolOK, "1-"},
		"quorum by weight":  {config.Pool{Quorum: 3}, []member{{weight: 2, health: healthcheck.Up}, {weight: 1, health: healthcheck.Up}}, QuorumUndecided, PoolOK, "21"},
		"quorum lost":       {config.Pool{Quorum: 2}, servers("ud"), QuorumMet, PoolBelow, "1-"},
		"open at the start": {config.Pool{Quorum: 2, Sorry: sorryServer}, servers("u?"), QuorumUndecided, PoolUndecided, "1-"},
		"lost at the start": {config.Pool{Quorum: 2}, servers("ud?d"), QuorumUndecided, PoolUndecided, "1---"},
		"never met":         {config.Pool{Quorum: 3}, servers("ud?d"), QuorumUndecided, PoolBelow, "1---"},

		"within the hysteresis, met":  {config.Pool{Quorum: 3, Hysteresis: 1}, servers("uudd"), QuorumMet, PoolOK, "11--"},
		"below the hysteresis":        {config.Pool{Quorum: 3, Hysteresis: 1}, servers("uddd"), QuorumMet, PoolBelow, "1---"},
		"within the hysteresis, lost": {config.Pool{Quorum: 3, Hysteresis: 1}, servers("uuud"), QuorumLost, PoolBelow, "111-"},
		"above the hysteresis":        {config.Pool{Quorum: 3, Hysteresis: 1}, servers("uuuu"), QuorumLost, PoolOK, "1111"},

		"sorry":                      {config.Pool{Quorum: 2, Sorry: sorryServer, OnFailure: "remove"}, servers("ud"), QuorumMet, PoolSorry, "0-"},
		"sorry comes before panic":   {config.Pool{Quorum: 2, Sorry: sorryServer, Panic: 60, OnFailure: "remove"}, servers("ud"), QuorumMet, PoolSorry, "0-"},
		"panic without a quorum":     {config.Pool{Quorum: 2, Panic: 60}, servers("ud"), QuorumMet, PoolPanic, "11"},
		"panic with a quorum":        {config.Pool{Quorum: 1, Panic: 50, Sorry: sorryServer}, servers("uddd"), QuorumMet, PoolPanic, "1111"},
		"no panic at the threshold":  {config.Pool{Quorum: 1, Panic: 50}, servers("ud"), QuorumMet, PoolOK, "1-"},
		"panic with nobody up":       {config.Pool{Quorum: 1, Panic: 50}, servers("dd"), QuorumMet, PoolPanic, "11"},
		"not judged is no panic":     {config.Pool{Quorum: 1, Panic: 50}, servers("???"), QuorumUndecided, PoolUndecided, "---"},
		"not judged is out in panic": {config.Pool{Quorum: 1, Panic: 70}, servers("?dd"), QuorumMet, PoolPanic, "-11"},

		"a share of 0 is no quorum": {config.Pool{Quorum: 1}, []member{{weight: 1, health: healthcheck.Up, share: healthcheck.Percent(0)}}, QuorumMet, PoolBelow, "0"},
		"half of each is enough":    {config.Pool{Quorum: 1}, slices.Repeat([]member{{weight: 1, health: healthcheck.Up, share: healthcheck.Percent(50)}}, 2), QuorumUndecided, PoolOK, "11"},
		"drained":                   {config.Pool{Quorum: 1}, append(servers("u"), member{weight: 1, health: healthcheck.Up, mode: draining}), QuorumMet, PoolOK, "10"},
		"drained and down":          {config.Pool{Quorum: 1, OnFailure: "remove"}, append(servers("u"), member{weight: 1, health: healthcheck.Down, mode: draining}), QuorumMet, PoolOK, "1-"},
		"taken out":                 {config.Pool{Quorum: 1}, append(servers("u"), member{weight: 1, health: healthcheck.Up, mode: out}), QuorumMet, PoolOK, "1-"},
		"drained servers are no panic": {
			config.Pool{Quorum: 1, Panic: 50}, append(servers("u"), slices.Repeat([]member{{weight: 1, health: healthcheck.Down, mode: draining}}, 3)...),
			QuorumMet, PoolOK, "1---",
		},
	} {
		p := decidePool(c.policy, c.members, c.before, noon)
		if p.State != c.state || seats(p) != c.seats {
			t.Errorf("%s: %s with seats %s, want %s with %s", name, p.State, seats(p), c.state, c.seats)
		}
		if below := c.state == PoolBelow || c.state == PoolSorry; c.state != PoolPanic && p.Below() != below {
			t.Errorf("%s: below its quorum: %v in state %s", name, p.Below(), p.State)
		}
		if p.Sorry != (c.state == PoolSorry) {
			t.Errorf("%s: the sorry server serves: %v in state %s", name, p.Sorry, p.State)
		}
	}
}

func TestSlowStart(t *testing.T) {
	policy := config.Pool{Quorum: 1, SlowStart: 20 * time.Second}
	came := func(ago time.Duration) []member {
		m := servers("uu")
		m[1].risen = noon.Add(-ago)
		return m
	}
	for _, c := range []struct {
		ago    time.Duration
		weight uint32
		next   time.Duration // from noon; 0 is never
	}{
		{0, 5, time.Second},
		{999 * time.Millisecond, 5, time.Millisecond},
		{time.Second, 10, time.Second},
		{19500 * time.Millisecond, 100, 500 * time.Millisecond},
		{20 * time.Second, 100, 0},
		{-time.Hour, 5, time.Second}, // the clock was set back
	} {
		p := decidePool(policy, came(c.ago), QuorumMet, noon)
		want := Seat{In: true, Weight: c.weight, Full: 100}
		var next time.Time
		if c.next == 0 {
			want.Full = 0
		} else {
			next = noon.Add(c.next)
		}
		if got := p.Seats[1]; got != want || !p.Next.Equal(next) {
			t.Errorf("%v after it came up: %+v, next step at %v; want %+v at %v", c.ago, got, p.Next, want, next)
		}
		if got := p.Seats[0]; got != (Seat{In: true, Weight: 100}) {
			t.Errorf("the other server has %+v, want the full weight of 100", got)
		}
		if p.Up != 200 {
			t.Errorf("weights of %d are up, want 200: a slow start is no missing server", p.Up)
		}
	}
}

func TestSlowStartKeepsTheProportionsOfLargeWeights(t *testing.T) {
	members := []member{{weight: 30000, health: healthcheck.Up}, {weight: 10000, health: healthcheck.Up}}
	p := decidePool(config.Pool{Quorum: 1, SlowStart: time.Minute}, members, QuorumMet, noon)
	if a, b := p.Seats[0].Weight, p.Seats[1].Weight; a != 60000 || b != 20000 {
		t.Errorf("weights %d and %d, want 60000 and 20000", a, b)
	}
}

func drawMember(t *rapid.T) member {
	m := member{
		weight: uint32(rapid.IntRange(0, maxWeight).Draw(t, "weight")),
		health: rapid.SampledFrom([]healthcheck.Status{healthcheck.Up, healthcheck.Down, healthcheck.Unknown}).Draw(t, "health"),
		mode:   rapid.SampledFrom([]mode{serving, serving, serving, draining, out}).Draw(t, "mode"),
	}
	if rapid.Bool().Draw(t, "asks") {
		m.share = healthcheck.Percent(rapid.IntRange(0, healthcheck.MaxPercent).Draw(t, "percent"))
	}
	if rapid.Bool().Draw(t, "rose") {
		m.risen = noon.Add(-time.Duration(rapid.IntRange(-10, 100).Draw(t, "seconds ago")) * time.Second)
	}
	return m
}

func TestPoolProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOfN(rapid.Custom(drawMember), 1, 6).Draw(t, "members")
		quorum := rapid.IntRange(1, 100000).Draw(t, "quorum")
		policy := config.Pool{
			Quorum: uint32(quorum), Hysteresis: uint32(rapid.IntRange(0, quorum-1).Draw(t, "hysteresis")),
			OnFailure: rapid.SampledFrom([]string{"remove", "quiesce"}).Draw(t, "on_failure"),
			SlowStart: time.Duration(rapid.IntRange(0, 60).Draw(t, "slow_start")) * time.Second,
			Panic:     uint8(rapid.IntRange(0, 100).Draw(t, "panic")),
		}
		if rapid.Bool().Draw(t, "has a sorry server") {
			policy.Sorry = sorryServer
		}
		before := rapid.SampledFrom([]Quorum{QuorumUndecided, QuorumMet, QuorumLost}).Draw(t, "before")
		p := decidePool(policy, members, before, noon)

		for i, m := range members {
			seat := p.Seats[i]
			switch {
			case seat.Weight > maxWeight || seat.Full > maxWeight:
				t.Fatalf("member %d has %+v", i, seat)
			case m.mode == out && seat.In, m.health == healthcheck.Unknown && seat.In:
				t.Fatalf("member %d is in the pool: %+v", i, m)
			case m.mode == draining && seat.Weight > 0:
				t.Fatalf("member %d drains with weight %d", i, seat.Weight)
			case m.health == healthcheck.Down && seat.Weight > 0 && p.State != PoolPanic:
				t.Fatalf("member %d is down and has weight %d in state %s", i, seat.Weight, p.State)
			case p.Sorry && seat.Weight > 0:
				t.Fatalf("member %d has weight %d beside the sorry server", i, seat.Weight)
			case m.health == healthcheck.Up && m.mode == serving && !seat.In:
				t.Fatalf("member %d is up and lost its entry", i)
			case m.health == healthcheck.Up && m.mode == serving && !p.Sorry && m.share.Of(m.weight) > 0 && seat.Weight == 0:
				t.Fatalf("member %d is up and gets nothing", i)
			}
		}
		if !p.Next.IsZero() && !p.Next.After(noon) {
			t.Fatalf("the next step is at %v, %v ago", p.Next, noon.Sub(p.Next))
		}
		// Nothing new is no other decision.
		if again := decidePool(policy, members, p.Quorum, noon); !reflect.DeepEqual(again, p) {
			t.Fatalf("decided again:\n got %+v\nwant %+v", again, p)
		}
		// One more that comes up does not lose a quorum.
		for i := range members {
			if p.Quorum == QuorumMet && members[i].health != healthcheck.Up {
				better := slices.Clone(members)
				better[i].health, better[i].share = healthcheck.Up, healthcheck.Share{}
				if decidePool(policy, better, p.Quorum, noon).Below() {
					t.Fatalf("the quorum is lost when member %d comes up", i)
				}
			}
		}
	})
}

// TestRampIsBounded follows a ramp to its end.
func TestRampIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := config.Pool{Quorum: 1, SlowStart: time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "slow_start"))}
		m := []member{{weight: uint32(rapid.IntRange(1, maxWeight).Draw(t, "weight")), health: healthcheck.Up, risen: noon}}
		now, last := noon, uint32(0)
		for range rampSteps + 1 {
			p := decidePool(policy, m, QuorumMet, now)
			if p.Seats[0].Weight < last || p.Seats[0].Weight == 0 {
				t.Fatalf("weight %d after %d", p.Seats[0].Weight, last)
			}
			if last = p.Seats[0].Weight; p.Next.IsZero() {
				if now.Sub(noon) < policy.SlowStart {
					t.Fatalf("the ramp of %v is over after %v", policy.SlowStart, now.Sub(noon))
				}
				return
			}
			now = p.Next
		}
		t.Fatalf("no end after %d steps", rampSteps+1)
	})
}

func TestSorryServerIsInTheTableWhileTheQuorumIsLost(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Pool.Sorry = sorryServer
	down := map[string]healthcheck.Verdict{web1: {Status: healthcheck.Down}, web2: {Status: healthcheck.Down}}
	got := Compute(Inputs{Config: c, Roles: master(), Health: down, Now: noon})
	want := []ipvsctl.Dest{{Key: ipvsctl.DestKey{Address: sorryServer.Address, Port: 80}, Forward: ipvsctl.DR, Weight: 1}}
	if !reflect.DeepEqual(got.Table[0].Dests, want) {
		t.Errorf("destinations %+v, want the sorry server alone: %+v", got.Table[0].Dests, want)
	}
	back := Compute(Inputs{Config: c, Roles: master(), Health: up(web1), Pools: got.Pools, Now: noon})
	if d := back.Table[0].Dests; len(d) != 1 || d[0].Key.Address != c.Services[0].Real[0].Address {
		t.Errorf("destinations %+v with one server up, want that one alone", d)
	}
}

func TestPoolIsDecidedOnABackupToo(t *testing.T) {
	c := pairConfig("lvs2")
	down := map[string]healthcheck.Verdict{web1: {Status: healthcheck.Down}, web2: {Status: healthcheck.Down}}
	for name, want := range map[string]struct {
		health map[string]healthcheck.Verdict
		below  bool
	}{"down": {down, true}, "one up": {up(web1), false}, "nothing known": {nil, false}} {
		d := Compute(Inputs{Config: c, Roles: nil, Health: want.health, Now: noon})
		if got := BelowQuorum(c, d.Pools)["web"]; got != want.below {
			t.Errorf("%s: below its quorum: %v, want %v", name, got, want.below)
		}
	}
	if got := BelowQuorum(c, nil); len(got) != 0 {
		t.Errorf("nothing is decided, but below their quorum are %v", got)
	}
}

func TestComputeSaysWhenTheNextStepIs(t *testing.T) {
	c := pairConfig("lvs1")
	c.Services[0].Pool.SlowStart = 20 * time.Second
	in := Inputs{Config: c, Roles: master(), Health: up(web1, web2), Now: noon, Risen: map[string]time.Time{web2: noon}}
	got := Compute(in)
	if w := got.Table[0].Dests; w[0].Weight != 100 || w[1].Weight != 10 {
		t.Errorf("weights %d and %d, want 100 and a twentieth of 200", w[0].Weight, w[1].Weight)
	}
	if want := noon.Add(time.Second); !got.Next.Equal(want) {
		t.Errorf("the next step is at %v, want %v", got.Next, want)
	}
}
