package healthcheck

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Agent asks a program beside the server how the server is, by the agent protocol
// of HAProxy: it connects, and the agent says one line of words. What the agent
// says of the server's state counts at once, without Rise and Fall.
//
//	up, ready            in the pool
//	75%                  in the pool, with that share of its weight
//	drain                in the pool, with weight 0
//	down, fail, stopped  not in the pool; a text after "#" says why
//	maint                the same
//
// Each line stands for itself: one without drain ends a drain.
type Agent struct {
	// Send is sent once the connection stands; empty is nothing.
	Send Hex `json:"send_hex,omitempty"`
}

func (s Agent) checker() (Checker, error) {
	return func(ctx context.Context, _ time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		const doing = "the agent's line"
		if _, err := conn.Write(s.Send); len(s.Send) > 0 && err != nil {
			return talkResult(err, doing)
		}
		got, err := readUntil(conn, contains([]byte("\n")))
		if err != nil {
			if r := talkResult(err, doing); r.Reason != ReasonClosed || len(got) == 0 {
				return r
			}
		}
		return judgeAgent(string(got))
	}, nil
}

// judgeAgent understands the first line of what an agent said.
func judgeAgent(said string) Result {
	if end := strings.IndexAny(said, "\r\n\x00"); end >= 0 {
		said = said[:end]
	}
	words, why, _ := strings.Cut(said, "#")
	var down, maint, up, drain, understood bool
	var unknown []string
	var share Share
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		known := true
		switch strings.ToLower(word) {
		case "down", "fail", "failed", "stopped":
			down = true
		case "maint":
			maint = true
		case "up", "ready":
			up = true
		case "drain":
			drain = true
		default:
			if share, known = agentShare(word, share); !known {
				unknown = append(unknown, word)
			}
		}
		understood = understood || known
	}
	said = shorten(strings.TrimSpace(said))
	switch {
	case !understood:
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: quoted([]byte(said))}
	case down || maint:
		detail := strings.TrimSpace(words)
		if why = strings.TrimSpace(why); why != "" {
			detail += ": " + why
		}
		return Result{Outcome: Fail, Reason: ReasonAgent, Detail: shorten(detail), Decided: true}
	}
	if drain {
		share = Percent(0)
	}
	r := Result{Outcome: Pass, Reason: ReasonAnswered, Detail: said, Share: share, Decided: up}
	if len(unknown) > 0 {
		r.Warning, r.Reason = true, ReasonUnexpected
		r.Detail = shorten(fmt.Sprintf("%q is not understood, in %q", unknown[0], said))
	}
	return r
}

// agentShare understands a percentage. The limit of connections that an agent may
// tell has no meaning here. Otherwise the word is not known.
func agentShare(word string, before Share) (Share, bool) {
	if limit, found := strings.CutPrefix(strings.ToLower(word), "maxconn:"); found {
		_, err := strconv.ParseUint(limit, 10, 32)
		return before, err == nil
	}
	digits, found := strings.CutSuffix(word, "%")
	n, err := strconv.ParseUint(digits, 10, 31)
	if !found || err != nil {
		return before, false
	}
	return Percent(int(n)), true
}
