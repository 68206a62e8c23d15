package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/lab/internal/stage"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// PlayOptions are what Play needs.
type PlayOptions struct {
	Options
	Spec Spec
	Out  io.Writer
	// JSON prints the client's account as JSON, and nothing else.
	JSON bool
}

// readyBound is how long a cluster may take until every request is answered.
const readyBound = time.Minute

// Play builds a lab, plays the steps of its Spec under the client's requests,
// and prints what became of them in each step. The first part of the account is
// the time before the first step.
func Play(ctx context.Context, o PlayOptions) (err error) {
	say := func(format string, args ...any) {
		if !o.JSON {
			fmt.Fprintf(o.Out, format+"\n", args...)
		}
	}
	cluster, err := New(o.Spec, o.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	say("%d directors, %d real servers, forwarding by %s, an advert every %v",
		o.Spec.Lab.Directors, o.Spec.Lab.RealServers, o.Spec.Lab.Forward, o.Spec.Lab.Interval)
	client, err := begin(ctx, cluster)
	if err != nil {
		return err
	}
	say("%s is master; the client sends %d UDP requests and %d TCP connections a second to %s",
		cluster.Nodes(KindDirector)[0].Name, o.Spec.Client.UDP, o.Spec.Client.TCP, o.Spec.VIP())

	const quiet = "before the first step"
	phases := []string{quiet}
	if err := client.Mark(ctx, quiet); err != nil {
		return err
	}
	if err := pause(ctx, stepTime); err != nil {
		return err
	}
	for i, step := range o.Spec.Steps {
		phase := fmt.Sprintf("%d %s", i+1, step)
		phases = append(phases, phase)
		say("%s, then %v of watching", step, step.span())
		if err := client.Mark(ctx, phase); err != nil {
			return err
		}
		if err := cluster.do(ctx, step); err != nil {
			return fmt.Errorf("step %s: %w", phase, err)
		}
		if err := pause(ctx, step.span()); err != nil {
			return err
		}
	}
	reports, err := client.Stop(ctx)
	if err != nil {
		return err
	}
	if o.JSON {
		encoder := json.NewEncoder(o.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(reports)
	}
	_, err = io.WriteString(o.Out, "\n"+accountTable(reports, phases))
	return err
}

// begin starts everything and waits until the first director is master with all
// real servers in its pool.
func begin(ctx context.Context, c *Cluster) (*ClientRun, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyBound, fmt.Errorf("not ready within %v", readyBound))
	defer cancel()
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	first := c.Nodes(KindDirector)[0]
	if _, err := first.AwaitState(ctx, "master"); err != nil {
		return nil, err
	}
	if c.Spec.Lab.Forward != ForwardNone {
		if err := first.AwaitPool(ctx, c.Spec.pool()); err != nil {
			return nil, err
		}
	}
	return c.StartClient(ctx, nil)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// do carries a step out.
func (c *Cluster) do(ctx context.Context, s Step) error {
	switch s.Do {
	case "wait":
		return nil
	case "partition":
		return c.Partition()
	case "heal":
		return c.Heal()
	}
	n := c.Node(s.Node)
	role := process.Role(s.Process)
	var err error
	switch s.Do {
	case "kill":
		_, err = n.Kill(role)
	case "pause":
		_, err = n.Pause(role)
	case "resume":
		_, err = n.Resume(role)
	case "stop":
		err = n.StopDirector(ctx)
	case "start":
		err = n.StartDirector()
	case "crash":
		err = n.Crash()
	case "reboot":
		err = n.Reboot(ctx)
	case "cut":
		err = n.Cut()
	case "silence":
		err = n.Silence()
	case "restore":
		err = n.Restore()
	case "close":
		err = n.StopResponder(ctx)
	case "open":
		err = n.StartResponder(ctx)
	default:
		err = fmt.Errorf("%q is unknown", s.Do)
	}
	return err
}

// accountTable is the table of what became of the requests.
func accountTable(reports []traffic.Report, phases []string) string {
	rows := [][]string{{"step", "stream", "sent", "answered", "lost", "refused", "reset", "longest gap", "who answered"}}
	for _, phase := range phases {
		for _, stream := range []string{"udp", "tcp"} {
			r, ok := Find(reports, stream, phase)
			if !ok || r.Sent == 0 {
				continue
			}
			gap := "none"
			if r.Gap.Failed > 0 {
				gap = fmt.Sprintf("%.0f ms", milliseconds(r.Gap.Duration))
			}
			rows = append(rows, []string{
				phase, stream, fmt.Sprint(r.Sent), fmt.Sprint(r.Answered), fmt.Sprint(r.Lost), fmt.Sprint(r.Refused),
				fmt.Sprint(r.Reset), gap, served(r),
			})
		}
	}
	return stage.Table(rows)
}
