package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// poolFields are the keys of a service about its pool, where they stand.
type poolFields struct {
	quorum     field[int64]
	hysteresis field[int64]
	sorry      *realField
	slowStart  field[time.Duration]
}

const percentLegal = `a share from "1%" to "100%", or "0%": never`

func (l *loader) decodePool(t *table, b *serviceBlock) Pool {
	f := poolFields{
		quorum:     t.number("quorum", 1, 1<<32-1),
		hysteresis: t.number("hysteresis", 0, 1<<32-1),
		slowStart:  t.duration("slow_start", slowStartSpan()),
	}
	sorry := t.str("sorry", realLegal)
	if sorry.good {
		addr, port, what := parseReal(sorry.value)
		if what.message == "" {
			f.sorry = &realField{sorry, Real{Address: addr, Port: port, Weight: defaultWeight}}
		} else {
			t.found.add(sorry.place, what)
		}
	}
	b.pool = f
	return Pool{
		Quorum:     uint32(f.quorum.or(defaultQuorum)),
		Hysteresis: uint32(f.hysteresis.or(0)),
		OnFailure:  t.choice("on_failure", failures()).or(defaultOnFailure),
		SlowStart:  f.slowStart.or(0),
		Panic:      t.percent("panic").or(0),
		Drain:      t.duration("drain", drainSpan()).or(defaultDrain),
	}
}

// percent reads a whole number of percent.
func (t *table) percent(key string) field[uint8] {
	v, ok := t.get(key)
	f := field[uint8]{place: v.place, set: ok}
	if !ok {
		return f
	}
	if n, isNumber := v.data.(int64); isNumber {
		suggestion := ""
		if 0 <= n && n <= 100 {
			suggestion = strconv.Quote(fmt.Sprintf("%d%%", n))
		}
		t.found.add(f.place, problem{"a number without a unit, where a share belongs", percentLegal, suggestion})
		return f
	}
	text, isText := v.data.(string)
	if !isText {
		v.mismatch("a share", percentLegal, "")
		return f
	}
	digits, hasUnit := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 8)
	switch {
	case err != nil || !hasUnit:
		t.found.add(f.place, problem{message: "not a share", legal: percentLegal})
	case n > 100:
		t.found.add(f.place, problem{message: "out of range", legal: percentLegal})
	default:
		f.value, f.good = uint8(n), true
	}
	return f
}

// checkPool checks what the pool of b demands against its real servers.
func (l *loader) checkPool(b *serviceBlock) {
	pool, f := &b.Service.Pool, b.pool
	l.checkSorry(b)
	if total := b.totalWeight(); len(b.Service.Real) == len(b.real) && len(b.real) > 0 {
		l.checkQuorum(f, uint64(pool.Quorum), uint64(pool.Hysteresis), total)
	}
	if f.slowStart.good && f.slowStart.value > 0 && b.scheduler.sound() {
		switch s := b.Service.Scheduler; {
		case slices.Contains([]string{"rr", "lc"}, s):
			l.found.add(f.slowStart.place, problem{
				message: fmt.Sprintf("scheduler %s pays no attention to weights, so nobody would start slowly", s),
				legal:   "scheduler = " + strconv.Quote("w"+s),
			})
		case !slices.Contains(ramping(), s):
			l.found.add(f.slowStart.place, problem{
				message: fmt.Sprintf("with scheduler %s another weight moves clients to other servers instead of sending fewer", s),
				legal:   list(ramping()),
			})
		}
	}
}

// ramping are the schedulers with which half the weight is half the connections.
func ramping() []string { return []string{"wrr", "wlc", "lblc", "lblcr", "sed", "nq", "twos"} }

func (l *loader) checkQuorum(f poolFields, quorum, hysteresis, total uint64) {
	switch {
	case f.quorum.good && quorum > total:
		l.found.add(f.quorum.place, problem{
			message: fmt.Sprintf("the weights of all real servers are %d: the quorum could never be met", total),
			legal:   fmt.Sprintf("1 to %d", total),
		})
	case !f.hysteresis.good || hysteresis == 0 || !f.quorum.sound():
	case hysteresis >= quorum:
		l.found.add(f.hysteresis.place, problem{
			message: fmt.Sprintf("not less than the quorum %d: it could never be lost", quorum),
			legal:   fmt.Sprintf("0 to %d", quorum-1),
		})
	case quorum+hysteresis > total:
		l.found.add(f.hysteresis.place, problem{
			message: fmt.Sprintf("the weights of all real servers are %d: a lost quorum of %d could never be regained", total, quorum),
			legal:   fmt.Sprintf("0 to %d", min(total-quorum, quorum-1)),
		})
	}
}

// checkSorry checks the sorry server as a real server of its service, and writes
// it into the result.
func (l *loader) checkSorry(b *serviceBlock) {
	sorry := b.pool.sorry
	if sorry == nil {
		return
	}
	if what := l.checkReal(b, sorry); what.message != "" {
		l.found.add(sorry.place, what)
		return
	}
	for _, r := range b.real {
		for _, listen := range b.listen {
			at := func(r Real) netip.AddrPort { return netip.AddrPortFrom(r.Address, b.portOf(r, listen.at)) }
			if at(r.Real) == at(sorry.Real) {
				l.found.add(sorry.place, problem{
					message: fmt.Sprintf("%s is a real server of this service, at %s", at(r.Real), r.seenFrom(sorry.place)),
					legal:   "a server that is not among the real servers",
				})
				return
			}
		}
	}
	b.Service.Pool.Sorry = &sorry.Real
}
