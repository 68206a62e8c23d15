package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/realserver"
)

// stopMargin is what a stop may take besides draining.
const stopMargin = 30 * time.Second

func newKeeper(s *settings) *cobra.Command {
	var leave bool
	var drain time.Duration
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Keep this host a real server: apply, repair, follow the configuration",
		Long: `Apply, then keep it so in the foreground: what somebody else changes is repaired
within a second, and changes of the configuration's files and of the host's own
addresses are followed. SIGHUP reads the configuration at once. One that is wrong
is refused, and everything stays as it was.

SIGTERM undoes everything. With --drain it first waits for the connections to the
services to end; drain the real server on the directors before. A crash leaves the
host as it is, and the next run goes on from there.`,
		Example: "  haldir realserver run\n  haldir realserver run --drain 5m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if drain < 0 {
				return usage(fmt.Errorf("--drain %s: a time is not negative", drain))
			}
			return s.keep(cmd.Context(), leave, drain)
		},
	}
	s.addConfig(cmd)
	s.addRunDir(cmd)
	cmd.Flags().BoolVar(&leave, "leave", false, "leave the host a real server at the end")
	cmd.Flags().DurationVar(&drain, "drain", 0, "at the end, wait for connections to the services to end, at most this long")
	return cmd
}

func (s *settings) keep(ctx context.Context, leave bool, drain time.Duration) error {
	if _, err := s.load(false); err != nil {
		return usage(err)
	}
	unlock, err := s.ownRealserver()
	if err != nil {
		return err
	}
	defer unlock()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	runner := s.realserverRunner()
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			runner.Log.Warn("telling systemd", "error", err)
		}
	}
	watched, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		runner.Log.Warn("asking whether systemd watches", "error", err)
	}
	keeper := &realserver.Keeper{
		Runner: runner,
		Load:   func() (*config.Config, error) { return s.load(false) },
		Stamp:  func() (string, error) { return config.Stamp(s.config) },
		Host:   realserver.ReadHost,
		Watch: func(ctx context.Context, changed func()) error {
			return netif.Watch(ctx, func(netif.Event) { changed() })
		},
		Leave:     leave,
		Drain:     drain,
		Ready:     func() { tell(daemon.SdNotifyReady) },
		Tell:      func(summary string) { tell("STATUS=" + oneLine(summary)) },
		Reloading: func() { tell(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()) },
		Alive: func() {
			if watched > 0 {
				tell(daemon.SdNotifyWatchdog)
			}
		},
		Draining: func() {
			tell(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, (drain + stopMargin).Microseconds()))
		},
	}
	if err := keeper.Run(ctx, reload); err != nil {
		return problem(err)
	}
	return nil
}
