package traffic

import "time"

const (
	// tickLength is the length of one tick; one is told when the next has passed.
	tickLength = 100 * time.Millisecond
	// keptTicks is how many may be in the making at once.
	keptTicks = 64
)

// ticks counts the requests of the latest tenths of a second.
type ticks struct {
	ledger *Ledger
	next   int64 // index of the tick that is told next
	ring   [keptTicks]tick
}

type tick struct {
	sent, failed int
	answered     []int // by index of servers
	late         time.Duration
}

// at returns the tick in which a request was sent, or nil if it has been told.
func (t *ticks) at(sent time.Duration) *tick {
	i := int64(sent / tickLength)
	if i < t.next || i >= t.next+keptTicks {
		return nil
	}
	return &t.ring[i%keptTicks]
}

func (t *ticks) sent(at, late time.Duration) {
	if k := t.at(at); k != nil {
		k.sent++
		k.late = max(k.late, late)
	}
}

func (t *ticks) answered(sent time.Duration, server uint8) {
	if k := t.at(sent); k != nil {
		for len(k.answered) <= int(server) {
			k.answered = append(k.answered, 0)
		}
		k.answered[server]++
	}
}

func (t *ticks) failed(sent time.Duration) {
	if k := t.at(sent); k != nil {
		k.failed++
	}
}

// Ticks returns the ticks that are complete at now and were not returned before.
func (l *Ledger) Ticks(now time.Duration) []Tick {
	var done []Tick
	t := &l.ticks
	for time.Duration(t.next+2)*tickLength <= now {
		k := &t.ring[t.next%keptTicks]
		out := Tick{
			Stream: l.stream, At: l.begin.Add(time.Duration(t.next) * tickLength),
			Sent: k.sent, Failed: k.failed, Late: k.late,
		}
		for i, n := range k.answered {
			if n > 0 {
				if out.Answered == nil {
					out.Answered = make(map[string]int)
				}
				out.Answered[l.servers[i]] = n
			}
		}
		*k = tick{answered: k.answered[:0]}
		t.next++
		done = append(done, out)
	}
	return done
}
