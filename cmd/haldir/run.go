package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/director"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp/vrrpsock"
)

// preflightBound is how long an API socket that is there already may take to say
// whose it is.
const preflightBound = 5 * time.Second

func newRun(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon: VRRP, addresses, IPVS, health checks, API",
		Long: `Run the daemon in the foreground: VRRP, addresses, IPVS, health checks, API.

SIGTERM stops it: mastership is handed over first, and what was changed on the
host is undone. SIGHUP reads the configuration again. A configuration that is
wrong, or a host that lacks what it needs, ends the command with status 2
before anything on the host is touched.`,
		Example: "  haldir run\n  haldir run -c /etc/haldir/haldir.toml --node lvs2",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	s.addConfig(cmd)
	s.addRunDir(cmd)
	s.addStateDir(cmd)
	return cmd
}

// examinedVariable marks a process that has found the configuration good and the
// host fit. It begins anew as itself then, since the supervisor needs a twentieth
// of the memory that reading the configuration takes and that no collection gives
// back as a whole.
const examinedVariable = "HALDIR_EXAMINED"

func (s *settings) run(ctx context.Context) error {
	log := newLogger(s.stderr, "supervisor")
	if os.Getenv(examinedVariable) == "" {
		if err := s.examine(ctx, log); err != nil {
			return usage(err)
		}
		err := syscall.Exec(program(), os.Args, append(os.Environ(), examinedVariable+"=1"))
		log.Warn("going on with the memory that reading the configuration took", "error", err)
	}
	_ = os.Unsetenv(examinedVariable)

	if err := os.MkdirAll(s.runDir, 0o755); err != nil {
		return problem(fmt.Errorf("making the run directory: %w", err))
	}
	lock, err := process.Lock(s.runDir)
	if errors.Is(err, process.ErrLocked) {
		return usage(err)
	}
	if err != nil {
		return problem(err)
	}
	defer lock.Close()

	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	go process.StaySmall(ctx, process.Supervisor)
	err = process.Run(ctx, process.Config{
		Command: func(role process.Role) *exec.Cmd {
			args := []string{internalCommand(role)}
			if role == process.Director {
				args = append(args, "--config", s.config, "--run-dir", s.runDir, "--state-dir", s.stateDir)
				if s.node != "" {
					args = append(args, "--node", s.node)
				}
			}
			cmd := exec.Command(program(), args...)
			cmd.Args[0] = os.Args[0]
			cmd.Stdout, cmd.Stderr = s.stdout, s.stderr
			return cmd
		},
		Cleanup: func(ctx context.Context) error {
			host := newHost(s.runDir, log)
			defer host.Close()
			return director.Cleanup(ctx, s.runDir, host, vrrpsock.Network{}, log)
		},
		Reload: reload,
		Log:    log,
	})
	if err != nil {
		return problem(err)
	}
	return nil
}

// examine reads the configuration and finds out whether this host can do what it
// asks.
func (s *settings) examine(ctx context.Context, log *slog.Logger) error {
	cfg, err := s.load(true)
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		log.Warn(warning.Error())
	}
	return s.preflight(ctx, cfg)
}

// preflight finds out whether this host can do what the configuration asks. It
// changes nothing.
func (s *settings) preflight(ctx context.Context, cfg *config.Config) error {
	if err := privileged(); err != nil {
		return err
	}
	socket := cfg.API.Socket
	if socket == "" {
		socket = filepath.Join(s.runDir, control.SocketName)
	}
	bounded, cancel := context.WithTimeout(ctx, preflightBound)
	defer cancel()
	switch err := ask(bounded, socket); {
	case err == nil:
		return fmt.Errorf("haldir runs already: it answers at %s", socket)
	case !errors.Is(err, control.ErrNotRunning):
		return fmt.Errorf("finding out whether haldir runs already: %w", err)
	}
	if len(cfg.Services) > 0 {
		host := newHost(s.runDir, slog.New(slog.DiscardHandler))
		defer host.Close()
		if _, err := host.Table(ctx); err != nil {
			return fmt.Errorf("the configuration has %s: %w", count(len(cfg.Services), "service"), err)
		}
	}
	return nil
}

// ask has whoever listens at an API socket answer. One that was killed hangs up in the
// middle of it, and is asked again: it is gone then, or was replaced.
func ask(ctx context.Context, socket string) error {
	for {
		_, err := control.NewClient(socket).Status(ctx)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// program is the path of this very program, even after an upgrade has put
// another one in its place: processes of two versions must not talk.
func program() string {
	const running = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return running
	}
	there, err := os.Stat(path)
	if err != nil {
		return running
	}
	here, err := os.Stat(running)
	if err == nil && !os.SameFile(there, here) {
		return running
	}
	return path
}
