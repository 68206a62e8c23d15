package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// operated answers an operator's requests and keeps the last one.
type operated struct {
	still
	failover    control.FailoverResult
	maintenance control.MaintenanceResult
	err         error
	asked       *string
}

func (o operated) Failover(_ context.Context, r control.FailoverRequest) (control.FailoverResult, error) {
	*o.asked = fmt.Sprintf("%+v", r)
	return o.failover, o.err
}

func (o operated) Maintenance(_ context.Context, r control.MaintenanceRequest) (control.MaintenanceResult, error) {
	*o.asked = fmt.Sprintf("%+v", r)
	return o.maintenance, o.err
}

func TestOperatorCommands(t *testing.T) {
	handover := control.Handover{Router: "edge", To: "192.0.2.2", Priority: 100, Age: control.Of(42 * time.Millisecond), Took: control.Of(710 * time.Millisecond)}
	stays := control.Handover{Router: "edge", Problem: "no other director took over within 4s: this node stays master"}
	for _, test := range []struct {
		name           string
		args           string
		backend        operated
		want           int
		stdout, stderr string
		asked          string
	}{
		{"handed over", "failover", operated{failover: control.FailoverResult{Done: true, Handovers: []control.Handover{handover}}}, exitDone,
			"edge: handed over to 192.0.2.2 (priority 100) in 710ms; its last advert is 42ms old, the addresses are gone from here\n", "", "{Routers:[]}"},
		{"not handed over", "failover edge", operated{failover: control.FailoverResult{Handovers: []control.Handover{stays}}}, exitProblem,
			"edge: no other director took over within 4s: this node stays master\n", "haldir: not everything was handed over\n", "{Routers:[edge]}"},
		{"refused", "failover", operated{failover: control.FailoverResult{Refused: "nothing to hand over"}}, exitProblem, "", "haldir: nothing to hand over\n", "{Routers:[]}"},
		{"no such router", "failover inner", operated{err: fmt.Errorf("%w: no inner", control.ErrInvalid)}, exitUsage, "", "haldir: invalid request: no inner\n", "{Routers:[inner]}"},
		{"on", "maintenance on --reason disk", operated{maintenance: control.MaintenanceResult{Done: true, Handovers: []control.Handover{handover}}}, exitDone,
			"the addresses are gone from here\nin maintenance: this node does not become master until haldir maintenance off\n", "", "{On:true Reason:disk Force:false}"},
		{"still needed", "maintenance on", operated{maintenance: control.MaintenanceResult{Refused: "this node is still needed", Handovers: []control.Handover{stays}}}, exitProblem,
			"edge: no other", "haldir: not in maintenance: this node is still needed (--force to do it all the same: the service stops)\n", "{On:true Reason: Force:false}"},
		{"by force", "maintenance on --force", operated{maintenance: control.MaintenanceResult{Done: true}}, exitDone, "in maintenance", "", "{On:true Reason: Force:true}"},
		{"off", "maintenance off", operated{maintenance: control.MaintenanceResult{Done: true}}, exitDone, "this node takes part again\n", "", "{On:false Reason: Force:false}"},
		{"off, not followed", "maintenance off", operated{}, exitProblem, "", "haldir: switched, but", "{On:false Reason: Force:false}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked string
			test.backend.asked = &asked
			dir := serveBackend(t, test.backend)
			args := append(strings.Fields(test.args), "--run-dir", dir)
			got, stdout, stderr := haldir(args...)
			if got != test.want || !strings.Contains(stdout, test.stdout) || (test.stdout == "") != (stdout == "") || !strings.HasPrefix(stderr, test.stderr) {
				t.Errorf("exit status %d, %q, %q; want %d, %q, %q", got, stdout, stderr, test.want, test.stdout, test.stderr)
			}
			if asked != test.asked {
				t.Errorf("asked %s, want %s", asked, test.asked)
			}
			if test.want == exitUsage {
				return
			}
			if got, stdout, stderr := haldir(append(args, "--json")...); got != test.want || !strings.HasPrefix(stdout, "{\n") || stderr != "" {
				t.Errorf("as JSON: exit status %d, want %d; %q; %q", got, test.want, stdout, stderr)
			}
		})
	}
}
