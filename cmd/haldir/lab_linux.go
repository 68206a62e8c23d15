package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/lab"
	"github.com/haldir-lb/haldir/lab/guest"
)

// labBound ends a lab in a guest that does not end by itself.
const labBound = 30 * time.Minute

// dispatch plays the parts for which the lab re-executes this program: the init
// of a guest kernel, responders and clients.
func dispatch(args []string) (status int, ours bool) {
	if status, ours := guest.Dispatch(); ours {
		return status, true
	}
	if len(args) > 1 && args[1] == "lab-agent" {
		return lab.AgentMain(args[2:]), true
	}
	return 0, false
}

func newLab(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "A whole cluster on this machine: directors, real servers, a client, faults",
		Long: `A whole cluster on this machine, each part in a network namespace of its own on
one bridge: directors, real servers, a router, and a client that accounts for
every request. Where this kernel has no ip_vs, the lab boots a guest kernel
under QEMU, installing what it needs on Debian, and runs in there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(s.newLabDemo(), s.newLabRun())
	return cmd
}

func (s *settings) newLabDemo() *cobra.Command {
	spec := lab.DefaultSpec(lab.ForwardDR)
	var forward string
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a pair elect, fail over and come back under a thousand requests a second",
		Example: `  haldir lab demo
  haldir lab demo --forward nat --interval 1s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec = lab.DefaultSpec(forward)
			spec.Lab.Interval = lab.Duration(interval)
			if err := spec.Validate(); err != nil {
				return usage(err)
			}
			return s.inLab(cmd.Context(), spec, nil, func(ctx context.Context) error {
				return lab.Demo(ctx, lab.DemoOptions{Spec: spec, Out: os.Stdout, Kernel: kernelRelease()})
			})
		},
	}
	cmd.Flags().StringVar(&forward, "forward", spec.Lab.Forward, "forwarding mode: dr, tun or nat")
	cmd.Flags().DurationVar(&interval, "interval", spec.Lab.Interval.D(), "VRRP advertisement interval")
	return cmd
}

// inLab runs f here, or this very command in a guest where the lab needs ip_vs and
// this kernel lacks it. files are host files that the command reads.
func (s *settings) inLab(ctx context.Context, spec lab.Spec, files []string, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, inside := guest.Inside()
	if inside || spec.Lab.Forward == lab.ForwardNone || !guest.Needed(ctx) {
		if err := privileged(); err != nil {
			return usage(err)
		}
		if err := f(ctx); err != nil {
			return problem(err)
		}
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return problem(fmt.Errorf("finding this program: %w", err))
	}
	carried := guest.Files{}
	for _, name := range files {
		carried[labFile] = name
	}
	args := append([]string{guest.Self(self)}, labArguments(files)...)
	result, err := guest.Run(ctx, guest.Options{
		Args: args, Env: guest.Environment(), Terminal: guest.TerminalOf(os.Stdout), Files: carried,
		Stdout: os.Stdout, Stderr: os.Stderr, Progress: guest.ShowProgress(os.Stderr), Timeout: labBound,
	})
	switch {
	case errors.Is(err, context.Canceled):
		if colourful(os.Stdout) {
			fmt.Fprint(os.Stdout, "\x1b[?25h") // the guest cannot bring the cursor back any more
		}
		return &statusError{code: exitProblem}
	case err != nil:
		return problem(err)
	case result.ExitStatus() != 0:
		return &statusError{code: result.ExitStatus()}
	}
	return nil
}

// labFile is where the guest finds the file of a lab.
const labFile = "/lab.toml"

// labArguments are this command's, with the file under its name in the guest.
func labArguments(files []string) []string {
	args := append([]string(nil), os.Args[1:]...)
	for i, arg := range args {
		for _, name := range files {
			if arg == name {
				args[i] = labFile
			}
		}
	}
	return args
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "unknown"
	}
	release := unix.ByteSliceToString(name.Release[:])
	if _, inside := guest.Inside(); inside {
		return release + " (guest)"
	}
	return release
}
