package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/realserver"
)

func newRealserver(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "realserver",
		Short: "Set up this host as a real server, keep it so, verify it, undo it",
		Long: `Set up this host as a real server for every service of the configuration that
lists one of its addresses: loopback addresses and ARP parameters for DR, the
tunnel for TUN, the reply path for NAT.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	apply := s.realserverCommand("apply", "Do what is needed, and read it back",
		`Do what is needed on this host. What was there before is written down first, so
that remove can restore it exactly. Calling it again changes only what differs.`, (*settings).realserverApply)
	verify := s.realserverCommand("verify", "Read everything back, one line each",
		`Read everything back from the kernel. Exit status 1 if anything is not as it
should be, with the remedy.`, (*settings).realserverVerify)
	remove := s.realserverCommand("remove", "Undo what apply did, exactly",
		`Undo what apply did, in reverse order, back to the values found before. What
apply did not make is not touched.`, (*settings).realserverRemove)
	cmd.AddCommand(apply, verify, remove, newKeeper(s), newKeeperStatus(s))
	return cmd
}

func (s *settings) realserverCommand(name, short, long string, run func(*settings, context.Context) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long,
		Example: "  haldir realserver " + name,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(s, cmd.Context()) },
	}
	if name != "remove" {
		s.addConfig(cmd)
	}
	s.addRunDir(cmd)
	if name == "verify" {
		s.addJSON(cmd)
	}
	return cmd
}

// realserverState derives what this host needs.
func (s *settings) realserverState() (realserver.State, error) {
	cfg, err := s.load(false)
	if err != nil {
		return realserver.State{}, usage(err)
	}
	host, err := realserver.ReadHost()
	if err != nil {
		return realserver.State{}, problem(err)
	}
	state, err := realserver.Desired(cfg, host)
	if errors.Is(err, realserver.ErrNoService) {
		return state, usage(err)
	}
	if err != nil {
		return state, problem(err)
	}
	return state, nil
}

func (s *settings) realserverRunner() *realserver.Runner {
	return &realserver.Runner{StateDir: s.runDir, Kernel: realserver.HostKernel(), Log: newLogger(s.stderr, "realserver")}
}

func (s *settings) realserverApply(ctx context.Context) error {
	state, err := s.realserverState()
	if err != nil {
		return err
	}
	unlock, err := s.ownRealserver()
	if err != nil {
		return err
	}
	defer unlock()
	runner := s.realserverRunner()
	if err := runner.Apply(ctx, state); err != nil {
		return problem(err)
	}
	findings, err := runner.Verify(ctx, state)
	if err != nil {
		return problem(err)
	}
	return s.printFindings(findings)
}

func (s *settings) realserverVerify(ctx context.Context) error {
	state, err := s.realserverState()
	if err != nil {
		return err
	}
	findings, err := s.realserverRunner().Verify(ctx, state)
	if err != nil {
		return problem(err)
	}
	return s.printFindings(findings)
}

func (s *settings) realserverRemove(ctx context.Context) error {
	unlock, err := s.ownRealserver()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.realserverRunner().Remove(ctx); err != nil {
		return problem(err)
	}
	return nil
}

// realserverLock is the file in the run directory whose lock says that a command
// changes the real server or keeps it.
const realserverLock = "realserver.lock"

// ownRealserver makes this process the only one that changes the real server.
func (s *settings) ownRealserver() (unlock func(), err error) {
	if err := privileged(); err != nil {
		return nil, usage(err)
	}
	if err := os.MkdirAll(s.runDir, 0o755); err != nil {
		return nil, problem(fmt.Errorf("making the run directory: %w", err))
	}
	lock, err := process.LockAs(s.runDir, realserverLock)
	if errors.Is(err, process.ErrLocked) {
		return nil, usage(errors.New("haldir realserver run keeps this host as it is, or another command is at work " +
			"(remedy: systemctl reload or stop haldir-realserver)"))
	}
	if err != nil {
		return nil, problem(err)
	}
	return func() { _ = lock.Close() }, nil
}

// printFindings prints one line for each item; anything wrong is status 1.
func (s *settings) printFindings(findings []realserver.Finding) error {
	if s.json {
		if err := printJSON(s.stdout, findings); err != nil {
			return problem(err)
		}
	}
	wrong := 0
	p := palette(colourful(s.stdout))
	for _, f := range findings {
		if !f.OK {
			wrong++
		}
		if !s.json {
			fmt.Fprint(s.stdout, renderFinding(f, p))
		}
	}
	if wrong > 0 {
		return &statusError{code: exitProblem}
	}
	return nil
}
