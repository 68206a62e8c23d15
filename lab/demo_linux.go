package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/lab/internal/stage"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// demoBound ends a demonstration in which something does not happen.
const demoBound = 110 * time.Second

// DemoOptions say what is demonstrated, and where.
type DemoOptions struct {
	Options
	// Spec is the cluster: at least two directors and two real servers.
	Spec Spec
	// Out is where it is shown: live on a terminal, else as plain lines.
	Out *os.File
	// Kernel names the kernel that this runs on, for the first line.
	Kernel string
}

// Demo shows a cluster at work: the election, requests that reach both real
// servers, a process that is killed, the crash of the master, the death of a real
// server, the return of both, and a table of what it cost the client. It returns
// an error if something did not happen as it should, and leaves nothing behind.
func Demo(ctx context.Context, o DemoOptions) (err error) {
	if o.Spec.Lab.Directors < 2 || o.Spec.Lab.RealServers < 2 || o.Spec.Client.UDP == 0 {
		return errors.New("a demonstration needs two directors, two real servers and UDP requests")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, demoBound, fmt.Errorf("not done within %v", demoBound))
	defer cancel()
	d := &demo{spec: o.Spec, stage: stage.New(o.Out)}
	closed := false
	defer func() {
		if !closed {
			d.stage.Close()
		}
	}()
	d.stage.Say("%s", d.stage.Emphasis(d.title(o.Kernel)))
	begin := time.Now()
	if d.cluster, err = New(o.Spec, o.Options); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.cluster.Close()) }()
	d.stage.Say("A switch, a router, a client and %d machines, each in a network namespace of its own, stand after %v.",
		o.Spec.Lab.Directors+o.Spec.Lab.RealServers, time.Since(begin).Round(time.Millisecond))

	reports, err := d.play(ctx)
	if err != nil {
		return d.explain(ctx, err)
	}
	d.stage.Close()
	closed = true
	remarks, fault := d.judge(reports)
	d.stage.Print("\n" + d.table(reports, remarks))
	if fault != nil {
		return fmt.Errorf("it did not go as it should: %w", fault)
	}
	return nil
}

// demo is a demonstration under way.
type demo struct {
	spec    Spec
	stage   *stage.Stage
	cluster *Cluster
	client  *ClientRun
	acts    []act
	started atomic.Bool // the directors
}

// act is one part of the story and one row of the table.
type act struct {
	phase string
	title string
	// floor is what the timers set as the outage; 0 is none.
	floor time.Duration
	// why says how the floor comes about.
	why string
	// spotless acts may not cost a request.
	spotless bool
	// partial acts harm the requests to one real server alone; their cost is the
	// length of the trouble.
	partial bool
}

func (d *demo) title(kernel string) string {
	title := fmt.Sprintf("haldir: %d directors and %d real servers, forwarding by %s, an advert every %v",
		d.spec.Lab.Directors, d.spec.Lab.RealServers, d.spec.Lab.Forward, d.spec.Lab.Interval)
	if kernel != "" {
		title += ", on " + kernel
	}
	return title
}

// play tells the story and returns the client's account.
func (d *demo) play(ctx context.Context) ([]traffic.Report, error) {
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		d.watch(watching)
	}()
	defer func() { stopWatching(); <-watched }()

	for _, scene := range []func(context.Context) error{d.setUp, d.elect, d.send, d.killProcess, d.crash, d.killReal, d.comeBack, d.handOver} {
		if err := scene(ctx); err != nil {
			return nil, err
		}
	}
	return d.client.Stop(ctx)
}

// begin starts an act in the client's account.
func (d *demo) begin(ctx context.Context, a act) error {
	d.acts = append(d.acts, a)
	d.stage.Show(func(p *stage.Picture) { p.Now = a.title })
	return d.client.Mark(ctx, a.phase)
}

func (d *demo) setUp(ctx context.Context) error {
	if err := d.cluster.StartServers(ctx); err != nil {
		return err
	}
	what := "the address on lo, silent when asked for it by ARP"
	switch d.spec.Lab.Forward {
	case ForwardTUN:
		what = "the address on tunl0, which unwraps what the director sends"
	case ForwardNAT:
		what = "the pair's inside address as their gateway"
	}
	d.stage.Say("The real servers are set up by haldir realserver apply: %s.", what)
	return nil
}

func (d *demo) elect(ctx context.Context) error {
	began := time.Now()
	for _, n := range d.cluster.Nodes(KindDirector) {
		if err := n.StartDirector(); err != nil {
			return err
		}
	}
	d.started.Store(true)
	d.stage.Say("d1 and d2 run haldir. Nobody is master yet: each waits for a master to be heard.")
	d1 := d.cluster.Node("d1")
	if _, err := d1.AwaitState(ctx, "master"); err != nil {
		return err
	}
	if _, err := d.cluster.Node("d2").AwaitState(ctx, "backup"); err != nil {
		return err
	}
	d.stage.Say("%s d1 is master, %v after the start: it has the higher priority. It holds %s.",
		d.stage.Emphasis("Election."), time.Since(began).Round(10*time.Millisecond), d.spec.VIP())
	if err := d1.AwaitPool(ctx, d.spec.Lab.RealServers); err != nil {
		return err
	}
	d.stage.Say("The real servers have passed their first check and are in d1's IPVS table.")
	return nil
}

func (d *demo) send(ctx context.Context) error {
	var err error
	if d.client, err = d.cluster.StartClient(ctx, d.tick); err != nil {
		return err
	}
	d.stage.Say("The client sends %d UDP requests and %d TCP connections a second to %s.", d.spec.Client.UDP, d.spec.Client.TCP, d.spec.VIP())
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	if err := d.begin(ctx, act{phase: "steady", title: "All is well", spotless: true}); err != nil {
		return err
	}
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	d.stage.Say("Every real server answers, %s.", d.path())
	return d.calm(ctx, d.reals()...)
}

func (d *demo) path() string {
	if d.spec.Lab.Forward == ForwardNAT {
		return "and its replies go back through the director"
	}
	return "directly, past the director"
}

func (d *demo) killProcess(ctx context.Context) error {
	if err := d.begin(ctx, act{phase: "process", title: "d1's director process is killed", spotless: true}); err != nil {
		return err
	}
	d1 := d.cluster.Node("d1")
	pid, err := d1.Kill(process.Director)
	if err != nil {
		return err
	}
	d.stage.Say("%s kill -9 %d: the process that configures d1's kernel. The kernel goes on forwarding, the adverts go on.",
		d.stage.Emphasis("A process dies."), pid)
	if _, err := d1.AwaitState(ctx, "master"); err != nil {
		return err
	}
	d.stage.Say("It was started again and d1 is master as before.")
	return d.calm(ctx, d.reals()...)
}

func (d *demo) crash(ctx context.Context) error {
	interval := d.spec.Lab.Interval.D()
	a := act{
		phase: "crash", title: "d1 loses its power", floor: d.spec.MasterDown(),
		why: fmt.Sprintf("a backup waits 3 x %v and a skew of %v for an advert",
			interval, (d.spec.MasterDown() - 3*interval).Round(time.Millisecond)),
	}
	if err := d.begin(ctx, a); err != nil {
		return err
	}
	if err := d.cluster.Node("d1").Crash(); err != nil {
		return err
	}
	d.stage.Say("%s All of d1's processes are killed and its cable is dead. d2 waits %v for an advert, then takes over.",
		d.stage.Emphasis("The master crashes."), d.spec.MasterDown().Round(time.Millisecond))
	if _, err := d.cluster.Node("d2").AwaitState(ctx, "master"); err != nil {
		return err
	}
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	d.stage.Say("d2 is master and every request is answered again.")
	return nil
}

func (d *demo) killReal(ctx context.Context) error {
	a := act{
		phase: "dead", title: "rs1 loses its power", floor: d.spec.RemovalFloor(), partial: true,
		why: fmt.Sprintf("%d checks must fail, each %v long at most; the other servers answer their part",
			d.spec.Lab.CheckFall, d.spec.Lab.CheckEvery),
	}
	if err := d.begin(ctx, a); err != nil {
		return err
	}
	rs1 := d.cluster.Node("rs1")
	if err := rs1.Cut(); err != nil {
		return err
	}
	d.stage.Say("%s rs1 is silent from now on. Every %v a check asks; after %d failures in a row it leaves the pool.",
		d.stage.Emphasis("A real server dies."), d.spec.Lab.CheckEvery, d.spec.Lab.CheckFall)
	if err := d.cluster.Node("d2").AwaitPool(ctx, d.spec.Lab.RealServers-1); err != nil {
		return err
	}
	if err := d.calm(ctx, d.reals()[1:]...); err != nil {
		return err
	}
	d.stage.Say("rs1 is out. The others answer everything.")
	return nil
}

func (d *demo) comeBack(ctx context.Context) error {
	if err := d.begin(ctx, act{phase: "real", title: "rs1 comes back", spotless: true}); err != nil {
		return err
	}
	if err := d.cluster.Node("rs1").Restore(); err != nil {
		return err
	}
	d.stage.Say("%s rs1 has power again; after %d good checks it gets requests.", d.stage.Emphasis("It returns."), d.spec.Lab.CheckRise)
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	if err := d.begin(ctx, act{phase: "node", title: "d1 comes back"}); err != nil {
		return err
	}
	d.stage.Say("%s d1 boots: first it takes away the address that it may still have, then it listens, then it preempts d2.",
		d.stage.Emphasis("The master returns."))
	d1 := d.cluster.Node("d1")
	if err := d1.Reboot(ctx); err != nil {
		return err
	}
	if _, err := d1.AwaitState(ctx, "master"); err != nil {
		return err
	}
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	d.stage.Say("d1 is master again.")
	return nil
}

func (d *demo) handOver(ctx context.Context) error {
	if err := d.begin(ctx, act{phase: "stop", title: "d1 is stopped in order", spotless: true}); err != nil {
		return err
	}
	d.stage.Say("%s d1 is told to stop. It resigns, goes on serving until d2 is heard, and then lets go.",
		d.stage.Emphasis("A planned stop."))
	if err := d.cluster.Node("d1").StopDirector(ctx); err != nil {
		return err
	}
	if _, err := d.cluster.Node("d2").AwaitState(ctx, "master"); err != nil {
		return err
	}
	if err := d.calm(ctx, d.reals()...); err != nil {
		return err
	}
	d.stage.Say("d2 is master. d1 took the address away when it had heard d2.")
	return nil
}

// reals are the names of the real servers.
func (d *demo) reals() []string {
	var names []string
	for _, n := range d.cluster.Nodes(KindReal) {
		names = append(names, n.Name)
	}
	return names
}

// calm waits until all is answered for half a second, by these real servers alone.
func (d *demo) calm(ctx context.Context, by ...string) error {
	good := 0
	return d.client.Until(ctx, "udp", fmt.Sprintf("answers by %v to every request", by), func(t traffic.Tick) bool {
		ok := t.Sent > 0 && t.Good() == t.Sent && len(t.Answered) == len(by)
		for _, name := range by {
			ok = ok && t.Answered[name] > 0
		}
		if !ok {
			good = 0
			return false
		}
		good++
		return good >= 20
	})
}
