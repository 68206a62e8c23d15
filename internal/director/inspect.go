package director

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/control"
)

// checkerBound is how long a request waits for the checker.
const checkerBound = 2 * time.Second

// Checks implements control.Operator: what is believed is the director's, the
// recent results are asked of the checker.
func (d *Director) Checks(ctx context.Context, real string) (control.ChecksReport, error) {
	wanted, err := parseReal(real)
	if err != nil {
		return control.ChecksReport{}, fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	answer := make(chan checker.History, 1)
	v := view{}
	var targets []healthcheck.Target
	var id uint64
	err = d.do(ctx, func() {
		v.health, v.probes = maps.Clone(d.health), d.probes
		targets = d.probes.ofReal(d.effective(), wanted)
		if len(targets) == 0 {
			return
		}
		d.nextID++
		id = d.nextID
		d.histories[id] = answer
		request := checker.HistoryRequest{ID: id}
		for _, t := range targets {
			request.Targets = append(request.Targets, t.ID)
		}
		d.send(d.Checker, checker.KindHistoryRequest, strconv.FormatUint(id, 10), request)
	})
	if err != nil {
		return control.ChecksReport{}, fmt.Errorf("asking the director: %w", err)
	}
	if len(targets) == 0 {
		return control.ChecksReport{}, fmt.Errorf("%w: no service checks a real server %s", control.ErrInvalid, real)
	}
	var history checker.History
	report := control.ChecksReport{}
	bound := time.NewTimer(checkerBound)
	defer bound.Stop()
	select {
	case history = <-answer:
	case <-bound.C:
		report.Unknown = "the checker does not answer"
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkerBound)
		defer cancel()
		_ = d.do(bounded, func() { delete(d.histories, id) })
	}
	v.now = time.Now()
	report.At = v.now
	for _, t := range targets {
		check := control.CheckReport{CheckStatus: v.check(t), Services: v.probes.users[t.ID], History: []control.CheckRecord{}}
		for _, r := range history.Records[t.ID] {
			check.History = append(check.History, checkRecord(r))
		}
		report.Checks = append(report.Checks, check)
	}
	return report, nil
}

func checkRecord(r healthcheck.Record) control.CheckRecord {
	outcome := "could not be made"
	switch {
	case r.Passed:
		outcome = "passed"
	case r.Failed:
		outcome = "failed"
	}
	return control.CheckRecord{
		First: r.First, Last: r.Last, Count: r.Count, Outcome: outcome, Health: string(r.Status), Reason: string(r.Reason),
		Detail: r.Detail, Output: r.Output, Warning: r.Warning, Longest: control.Of(r.Longest),
	}
}

// parseReal reads an address, or an address with a port.
func parseReal(text string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.AddrPort{}, errors.New("real: not the address of a real server, with or without a port")
	}
	return netip.AddrPortFrom(address, 0), nil
}
