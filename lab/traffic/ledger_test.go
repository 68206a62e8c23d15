package traffic

import (
	"testing"
	"time"
)

const ms = time.Millisecond

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// story plays requests, one each millisecond, whose outcomes are the letters of
// script: a and b are answers by servers of that name, . is none, r is refused,
// x is a reset, u was not sent, space is a millisecond without a request.
func story(l *Ledger, script string) {
	at := time.Duration(0)
	for _, c := range script {
		if c != ' ' {
			seq := l.Sent(at, 0)
			switch c {
			case '.':
			case 'r':
				l.Fail(seq, at+ms, Refused)
			case 'x':
				l.Fail(seq, at+ms, Reset)
			case 'u':
				l.Fail(seq, at, Unsent)
			default:
				l.Answer(seq, at+ms/2, string(c), 63)
			}
		}
		at += ms
	}
}

func only(t *testing.T, l *Ledger) Report {
	t.Helper()
	reports := l.Reports()
	if len(reports) != 1 {
		t.Fatalf("reports = %+v, want one", reports)
	}
	return reports[0]
}

func TestEveryRequestIsAccountedFor(t *testing.T) {
	l := NewLedger("udp", begin, time.Second)
	story(l, "aabb.rxu")
	r := only(t, l)
	want := Report{Sent: 8, Answered: 4, Lost: 1, Refused: 1, Reset: 1, Unsent: 1}
	got := Report{Sent: r.Sent, Answered: r.Answered, Lost: r.Lost, Refused: r.Refused, Reset: r.Reset, Unsent: r.Unsent}
	if got.Sent != want.Sent || got.Answered != want.Answered || got.Lost != want.Lost ||
		got.Refused != want.Refused || got.Reset != want.Reset || got.Unsent != want.Unsent {
		t.Errorf("account = %+v, want %+v", got, want)
	}
	if r.Failed() != 3 {
		t.Errorf("failed = %d, want 3: what the client could not send is not the cluster's", r.Failed())
	}
	if a, b := r.Server("a"), r.Server("b"); a.Answered != 2 || b.Answered != 2 || a.TTLs[63] != 2 {
		t.Errorf("servers = %+v, want a and b with 2 each", r.Servers)
	}
	if r.Latency.Max != ms/2 {
		t.Errorf("latency = %+v, want a maximum of 500µs", r.Latency)
	}
	if !r.From.Equal(begin) || !r.To.Equal(begin.Add(7*ms)) {
		t.Errorf("from, to = %v, %v, want the first and the last request", r.From, r.To)
	}
}

func TestAGapIsBetweenTheGoodRequestsAroundIt(t *testing.T) {
	tests := []struct {
		name, script string
		want         Gap
	}{
		{"none", "aaaa", Gap{}},
		{"one loss", "aa.aa", Gap{Duration: 2 * ms, Failed: 1}},
		{"several", "aa...ra", Gap{Duration: 5 * ms, AtLeast: 3 * ms, Failed: 4}},
		{"the longest of two", "a.a..a.a", Gap{Duration: 3 * ms, AtLeast: ms, Failed: 2}},
		{"another server answers in between", "a.b.a", Gap{Duration: 2 * ms, Failed: 1}},
		{"from the start", "...a", Gap{Duration: 3 * ms, AtLeast: 2 * ms, Failed: 3}},
		{"open at the end", "a...", Gap{Duration: 3 * ms, AtLeast: 2 * ms, Failed: 3, Open: true}},
		// The client's own silence is no outage, and makes one uncertain, not longer for sure.
		{"a stall of the client", "aa         aa", Gap{}},
		{"a stall within", "a.         .a", Gap{Duration: 12 * ms, AtLeast: 10 * ms, Failed: 2}},
		{"a stall at the edge", "a         .a", Gap{Duration: 11 * ms, Failed: 1}},
		{"what was not sent does not end it", "a.u.a", Gap{Duration: 4 * ms, AtLeast: 2 * ms, Failed: 2}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := NewLedger("udp", begin, time.Second)
			story(l, test.script)
			if got := only(t, l).Gap; got != test.want {
				t.Errorf("gap of %q = %+v, want %+v", test.script, got, test.want)
			}
		})
	}
}

// repeat returns n copies of s.
func repeat(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}

func TestAnEpisodeLastsUntilCalm(t *testing.T) {
	l := NewLedger("udp", begin, time.Second)
	// Half of the requests fail for 20 ms; after a long calm, one more.
	story(l, "aaaa"+repeat(".b", 10)+repeat("b", 400)+"."+"b")
	r := only(t, l)
	if len(r.Episodes) != 2 {
		t.Fatalf("episodes = %+v, want 2", r.Episodes)
	}
	first, second := r.Episodes[0], r.Episodes[1]
	if !first.Start.Equal(begin.Add(3*ms)) || first.Duration != 20*ms || first.Lost != 10 || first.Answered != 9 || first.Open {
		t.Errorf("first = %+v, want 20 ms from the last good request, 10 lost, 9 answered between", first)
	}
	if first.Gap.Duration != 2*ms {
		t.Errorf("gap of the first = %+v, want 2 ms: every other request went well", first.Gap)
	}
	if second.Failed() != 1 || second.Duration != 2*ms {
		t.Errorf("second = %+v, want one loss in 2 ms", second)
	}
}

func TestPhasesDivideTheRequests(t *testing.T) {
	l := NewLedger("udp", begin, time.Second)
	for i := range 30 {
		if i == 10 {
			l.Mark("fault")
		}
		if i == 20 {
			l.Mark("after")
		}
		seq := l.Sent(time.Duration(i)*ms, 0)
		if i < 8 || i >= 22 {
			l.Answer(seq, time.Duration(i)*ms, "a", 0)
		}
	}
	l.Mark("empty")
	reports := l.Reports()
	want := []struct {
		phase          string
		sent, answered uint64
		lost           uint64
	}{{"start", 10, 8, 2}, {"fault", 10, 0, 10}, {"after", 10, 8, 2}, {"empty", 0, 0, 0}}
	if len(reports) != len(want) {
		t.Fatalf("reports = %+v, want %d", reports, len(want))
	}
	for i, w := range want {
		if r := reports[i]; r.Phase != w.phase || r.Sent != w.sent || r.Answered != w.answered || r.Lost != w.lost {
			t.Errorf("report %d = %+v, want %+v", i, r, w)
		}
	}
	// The outage belongs, in one piece, to the phase in which most of it failed.
	if got := reports[1].Gap; got.Duration != 15*ms || got.Failed != 14 {
		t.Errorf("gap = %+v, want the whole 15 ms", got)
	}
	if a, b := len(reports[0].Episodes), len(reports[2].Episodes); a != 0 || b != 0 {
		t.Errorf("episodes before and after = %d, %d, want none of their own", a, b)
	}
}

func TestLateAndRepeatedAnswersAreTold(t *testing.T) {
	l := NewLedger("udp", begin, 10*ms)
	a := l.Sent(0, 0)
	b := l.Sent(ms, 0)
	c := l.Sent(2*ms, 0)
	l.Answer(b, 3*ms, "x", 0)
	l.Answer(a, 4*ms, "x", 0) // after the answer to a later request
	l.Answer(a, 5*ms, "x", 0) // once more
	l.Answer(c, 13*ms, "x", 0)
	l.Settle(20 * ms)
	l.Answer(c, 21*ms, "x", 0)
	l.Answer(99, 21*ms, "x", 0) // never asked
	r := only(t, l)
	if r.Answered != 2 || r.Lost != 1 || r.Duplicates != 1 || r.TooLate != 2 {
		t.Errorf("account = %+v, want 2 answered, 1 lost, 1 duplicate, 2 too late", r)
	}
	if r.Reordered != 1 {
		t.Errorf("reordered = %d, want 1", r.Reordered)
	}
}

func TestALedgerForgetsWhatIsBooked(t *testing.T) {
	l := NewLedger("udp", begin, 10*ms)
	for i := range 10_000 {
		at := time.Duration(i) * ms
		l.Answer(l.Sent(at, 0), at, "a", 0)
		l.Settle(at)
		if len(l.open) > 11 {
			t.Fatalf("%d requests are kept, want those of the last 10 ms", len(l.open))
		}
	}
	if r := only(t, l); r.Answered != 10_000 {
		t.Errorf("answered = %d, want all", r.Answered)
	}
}

func TestStrangersCannotFillTheLedger(t *testing.T) {
	l := NewLedger("udp", begin, time.Second)
	for i := range 1000 {
		l.Answer(l.Sent(0, 0), 0, string(rune('a'+i)), 0)
	}
	r := only(t, l)
	if len(r.Servers) > 256 || r.Answered != 1000 {
		t.Errorf("%d servers for %d answers, want at most 256 for 1000", len(r.Servers), r.Answered)
	}
}

func TestTicksTellEachTenthOfASecondOnce(t *testing.T) {
	l := NewLedger("udp", begin, time.Second)
	x := l.Sent(10*ms, ms)
	y := l.Sent(20*ms, 3*ms)
	z := l.Sent(110*ms, 0)
	l.Answer(x, 11*ms, "a", 0)
	l.Fail(y, 21*ms, Refused)
	if got := l.Ticks(199 * ms); len(got) != 0 {
		t.Errorf("ticks at 199 ms = %+v, want none yet", got)
	}
	l.Answer(z, 150*ms, "b", 0)
	got := l.Ticks(350 * ms)
	if len(got) != 2 {
		t.Fatalf("ticks at 350 ms = %+v, want two", got)
	}
	if a := got[0]; !a.At.Equal(begin) || a.Sent != 2 || a.Answered["a"] != 1 || a.Failed != 1 || a.Late != 3*ms || a.Good() != 1 {
		t.Errorf("first = %+v", a)
	}
	if b := got[1]; !b.At.Equal(begin.Add(100*ms)) || b.Sent != 1 || b.Answered["b"] != 1 {
		t.Errorf("second = %+v", b)
	}
	// The ring is used again without a trace of what was in it.
	for i := range 100 {
		for _, tick := range l.Ticks(time.Duration(400+100*i) * ms) {
			if tick.Sent != 0 || tick.Good() != 0 || tick.Failed != 0 {
				t.Errorf("tick %v = %+v, want empty", tick.At, tick)
			}
		}
	}
}

func TestQuantilesAreAtMostASixteenthTooHigh(t *testing.T) {
	var h histogram
	for i := 1; i <= 10_000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	got := h.summary()
	for _, q := range []struct {
		name      string
		got, want time.Duration
	}{{"median", got.Median, 5000 * time.Microsecond}, {"p99", got.P99, 9900 * time.Microsecond}} {
		if q.got < q.want || q.got > q.want+q.want/16 {
			t.Errorf("%s = %v, want %v to a sixteenth more", q.name, q.got, q.want)
		}
	}
	if got.Max != 10*ms {
		t.Errorf("max = %v, want 10ms", got.Max)
	}
	for us := range uint64(100_000) {
		if i := bucketOf(us); upper(i) < us || i > 0 && upper(i-1) >= us {
			t.Fatalf("%d µs is in bucket %d, which ends at %d", us, i, upper(i))
		}
	}
}
