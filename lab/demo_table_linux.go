package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/lab/internal/stage"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// demoAllowance is what an outage may take beyond its timers before the
// demonstration calls it a fault of the cluster: a guest under emulation on a busy
// machine is slow.
const demoAllowance = time.Second

// table is the end of the story.
func (d *demo) table(reports []traffic.Report, remarks []string) string {
	rows := [][]string{{"what happened", "outage", "timers allow", "lost", "of", "who answered"}}
	late := time.Duration(0)
	var connections, failed, sent, skipped uint64
	var notes []string
	for _, a := range d.acts {
		r, _ := Find(reports, "udp", a.phase)
		tcp, _ := Find(reports, "tcp", a.phase)
		late = max(late, r.Lateness.P99)
		connections += tcp.Sent
		failed += tcp.Failed()
		sent += r.Sent
		skipped += r.Skipped
		rows = append(rows, []string{a.title, a.outage(r), a.limit(), fmt.Sprint(r.Failed()), fmt.Sprint(r.Sent), served(r)})
		if a.floor > 0 {
			notes = append(notes, a.limit()+": "+a.why)
		}
	}
	var b strings.Builder
	b.WriteString(stage.Table(rows))
	fmt.Fprintf(&b, "\n  Outage: from the last good UDP request before to the first good one after.\n  %s\n", pace(d.spec.Client.UDP, sent, skipped))
	for _, note := range notes {
		b.WriteString("  " + note + ".\n")
	}
	if connections > 0 {
		fmt.Fprintf(&b, "  TCP: %d connections, %d of them without an answer.\n", connections, failed)
	}
	for _, remark := range remarks {
		b.WriteString("  " + remark + ".\n")
	}
	fmt.Fprintf(&b, "  The client itself was at most %v late with 99 of 100 requests.\n", late.Round(100*time.Microsecond))
	return b.String()
}

// pace says how many requests a second there were in truth.
func pace(wanted int, sent, skipped uint64) string {
	text := fmt.Sprintf("The client sent %d requests a second", wanted)
	if skipped == 0 {
		return text + "."
	}
	achieved := uint64(wanted) * sent / (sent + skipped)
	return fmt.Sprintf("The client wanted to send %d requests a second. This machine was too slow for that: it sent %d, and none in the stead of the others.", wanted, achieved)
}

// cost is what the act took from the client.
func (a act) cost(r traffic.Report) time.Duration {
	if !a.partial {
		return r.Gap.Duration
	}
	if len(r.Episodes) == 0 {
		return 0
	}
	last := r.Episodes[len(r.Episodes)-1]
	return last.Start.Add(last.Duration).Sub(r.Episodes[0].Start)
}

func (a act) outage(r traffic.Report) string {
	switch cost := a.cost(r); {
	case cost == 0:
		return "none"
	case a.partial:
		return fmt.Sprintf("%.0f ms, in part", milliseconds(cost))
	default:
		return fmt.Sprintf("%.0f ms", milliseconds(cost))
	}
}

func (a act) limit() string {
	if a.floor == 0 {
		return "none"
	}
	return fmt.Sprintf("%.0f ms", milliseconds(a.floor))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func served(r traffic.Report) string {
	var parts []string
	for _, s := range r.Servers {
		parts = append(parts, fmt.Sprintf("%s %d", s.Name, s.Answered))
	}
	return strings.Join(parts, ", ")
}

// judge says what did not happen as it should. What went wrong while the client
// itself was late by more than an advert's interval is told in the notes and is no
// fault: on a machine that is so slow, adverts come too late as well.
func (d *demo) judge(reports []traffic.Report) (notes []string, fault error) {
	var faults []error
	for _, a := range d.acts {
		r, _ := Find(reports, "udp", a.phase)
		wrong := a.wrong(r)
		switch {
		case wrong == "":
		case r.Sent > 0 && r.Lateness.P99 > d.spec.Lab.Interval.D():
			notes = append(notes, fmt.Sprintf("%s: %s; the machine was busy, the client was %v late itself", a.title, wrong, r.Lateness.P99.Round(time.Millisecond)))
		default:
			faults = append(faults, fmt.Errorf("%s: %s", a.title, wrong))
		}
	}
	return notes, errors.Join(faults...)
}

// wrong says what is wrong with the account of an act; empty is nothing.
func (a act) wrong(r traffic.Report) string {
	switch {
	case r.Sent == 0:
		return "no request was sent"
	case a.spotless && r.Failed() > 0:
		return fmt.Sprintf("%d requests were lost, none should have been", r.Failed())
	case a.cost(r) > a.floor+demoAllowance:
		return fmt.Sprintf("an outage of %v, the timers say %v", a.cost(r).Round(time.Millisecond), a.floor.Round(time.Millisecond))
	}
	return ""
}

// explain adds to an error what the nodes' logs say, unless the user ended it.
func (d *demo) explain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return err
	}
	for _, n := range d.cluster.Nodes(KindDirector) {
		text, readErr := os.ReadFile(n.LogPath("haldir"))
		if readErr != nil {
			continue
		}
		const tail = 12
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		err = fmt.Errorf("%w\n%s of %s ends in:\n%s", err, filepath.Base(n.LogPath("haldir")), n.Name,
			strings.Join(lines[max(0, len(lines)-tail):], "\n"))
	}
	return err
}
