package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmod"
	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// Options says what runs in the guest and what the guest is like.
type Options struct {
	Args     []string      // the program and its arguments; Args[0] is a path in the guest, or looked up in its PATH
	Env      []string      // KEY=value; besides these a program has PATH, HOME and HALDIR_GUEST (the kernel's release) alone
	Dir      string        // working directory in the guest; empty: /
	Timeout  time.Duration // of each program; 0: none
	Terminal *Terminal     // a terminal for the program's output; nil: two pipes

	Files   Files    // what the guest has besides the executable itself (Self) and kernel modules
	Kernel  string   // series of the kernel; empty: DefaultKernel
	Modules []string // kernel modules to load at boot besides ip_vs and its schedulers; others are loaded when asked for
	Memory  int      // in MiB, at least 256; 0: 2048
	CPUs    int      // 0: 2

	BootTimeout time.Duration // until the first program starts; 0: 2 minutes

	Stdout, Stderr io.Writer // get the programs' output as it comes; nil: thrown away
	KernelLog      io.Writer // gets the guest's whole kernel log, and makes it verbose; nil: only its end is kept, for errors
	Progress       Progress
	OnStart        func(Step)   // a step begins
	OnResult       func(Result) // a step has ended
}

// Step is one program of several that share one boot.
type Step struct {
	Name     string
	Args     []string
	Env      []string // added to Options.Env
	Dir      string
	Timeout  time.Duration // 0: Options.Timeout
	Terminal *Terminal
}

// Terminal is the size of a terminal, in characters.
type Terminal struct{ Columns, Rows uint16 }

// Result is how a step ended.
type Result struct {
	Name     string
	Status   int            // exit status; of no meaning if one of the next three is set
	Signal   syscall.Signal // the signal that ended it; 0: none did
	TimedOut bool           // ended at its Timeout: by SIGQUIT, then by SIGKILL
	Problem  string         // why it could not be started; empty: it was
	Took     time.Duration
}

// ExitStatus returns one number for the result, as a shell or timeout(1) would:
// the exit status, 128 + the signal, 124 for a time-out, 127 for a program that
// could not be started.
func (r Result) ExitStatus() int {
	switch {
	case r.Problem != "":
		return 127
	case r.TimedOut:
		return 124
	case r.Signal != 0:
		return 128 + int(r.Signal)
	}
	return r.Status
}

// String says in words how the step ended: "exit status 3".
func (r Result) String() string {
	switch {
	case r.Problem != "":
		return r.Problem
	case r.TimedOut:
		return fmt.Sprintf("timed out after %v", r.Took.Round(time.Millisecond))
	case r.Signal != 0:
		return fmt.Sprintf("ended by signal %d (%v)", int(r.Signal), r.Signal)
	}
	return fmt.Sprintf("exit status %d", r.Status)
}

// Why a guest failed; errors of Run and RunAll wrap one of these, ErrUnprepared,
// or a context's error.
var (
	ErrPanic   = errors.New("guest kernel panicked")
	ErrBoot    = errors.New("guest did not boot")
	ErrHung    = errors.New("guest hung")
	ErrStopped = errors.New("guest stopped before its work was done")
	ErrClock   = errors.New("guest's clock is wrong")
)

// Run boots a guest, runs one program in it and ends the guest. An error says
// that the guest failed, not the program: that is in the Result. Processes that
// the program leaves behind are killed when it ends.
func Run(ctx context.Context, o Options) (Result, error) {
	results, err := RunAll(ctx, o, []Step{{Args: o.Args, Dir: o.Dir, Timeout: o.Timeout, Terminal: o.Terminal}})
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// RunAll boots one guest and runs several programs in it, one after the other;
// Args, Dir and Terminal of the Options do not count. They share the kernel:
// what one leaves in it, the next finds. When the guest fails, RunAll returns
// the results so far, and an error.
func RunAll(ctx context.Context, o Options, steps []Step) ([]Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	kernel, err := Prepare(ctx, o.Kernel, o.Progress)
	if err != nil {
		return nil, err
	}
	// A file without a name: nothing is left of it, however this process ends.
	initrd, err := os.CreateTemp("", "haldir-guest-")
	if err != nil {
		return nil, fmt.Errorf("making the guest's image: %w", err)
	}
	defer initrd.Close()
	if err := os.Remove(initrd.Name()); err != nil {
		return nil, fmt.Errorf("making the guest's image: %w", err)
	}
	plan := o.plan(steps)
	if err := o.pack(initrd, kernel, plan); err != nil {
		return nil, fmt.Errorf("making the guest's image: %w", err)
	}
	s := &session{options: o, steps: steps, plan: plan, kernel: kernel}
	return s.run(ctx, initrd)
}

func (o Options) withDefaults() (Options, error) {
	if o.Memory == 0 {
		o.Memory = 2048
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.BootTimeout == 0 {
		o.BootTimeout = 2 * time.Minute
	}
	for _, w := range []*io.Writer{&o.Stdout, &o.Stderr} {
		if *w == nil {
			*w = io.Discard
		}
	}
	if o.OnStart == nil {
		o.OnStart = func(Step) {}
	}
	if o.OnResult == nil {
		o.OnResult = func(Result) {}
	}
	if o.Memory < 256 || o.CPUs < 0 || o.Timeout < 0 || o.BootTimeout < 0 {
		return o, fmt.Errorf("guest options: memory %d MiB (at least 256), %d CPUs, time-outs %v and %v (not negative)",
			o.Memory, o.CPUs, o.Timeout, o.BootTimeout)
	}
	return o, nil
}

func (o Options) plan(steps []Step) wire.Plan {
	plan := wire.Plan{Modules: o.Modules}
	for _, s := range steps {
		step := wire.Step{Name: s.Name, Args: s.Args, Dir: s.Dir, Timeout: s.Timeout, Env: append(append([]string{}, o.Env...), s.Env...)}
		if step.Timeout == 0 {
			step.Timeout = o.Timeout
		}
		if s.Terminal != nil {
			step.Terminal = &wire.Terminal{Columns: s.Terminal.Columns, Rows: s.Terminal.Rows}
		}
		plan.Steps = append(plan.Steps, step)
	}
	return plan
}

// pack writes the initramfs.
func (o Options) pack(initrd *os.File, kernel Kernel, plan wire.Plan) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this executable: %w", err)
	}
	plan.Modules, err = withIPVS(kernel, plan.Modules)
	if err != nil {
		return err
	}
	return o.Progress.step("packing the guest's files", func() (string, error) {
		img, err := newImage(executable, kernel, plan, o.Files)
		if err != nil {
			return "", err
		}
		size, err := img.write(initrd)
		if err != nil {
			return "", err
		}
		// The archive and what is unpacked from it are in memory together.
		if need := 2*int(size>>20) + 160; o.Memory < need {
			return "", fmt.Errorf("files of %s need a guest of at least %d MiB of memory, not %d", mebibytes(size), need, o.Memory)
		}
		return mebibytes(size), nil
	})
}

// withIPVS puts ip_vs and everything beside it before the modules to load.
func withIPVS(kernel Kernel, modules []string) ([]string, error) {
	index, err := kmod.Open(kernel.Modules)
	if err != nil {
		return nil, err
	}
	return append(append([]string{"ip_vs"}, index.Below("kernel/net/netfilter/ipvs")...), modules...), nil
}
