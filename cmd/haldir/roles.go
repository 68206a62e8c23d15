package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/director"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/script"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/vrrp/vrrpsock"
)

// internalCommand is the hidden command that a role is started by.
func internalCommand(role process.Role) string { return "internal-" + string(role) }

func newRole(role process.Role, run func(context.Context, *process.Inherited) error, s *settings) *cobra.Command {
	return &cobra.Command{
		Use:    internalCommand(role),
		Short:  "The " + string(role) + " process, started by haldir run",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			inherited, err := process.Inherit(role, newLogger(s.stderr, string(role)))
			if err != nil {
				return problem(err)
			}
			defer inherited.Close()
			go process.StaySmall(ctx, role)
			if err := run(ctx, inherited); err != nil {
				return problem(err)
			}
			return nil
		},
	}
}

func newSpeaker(s *settings) *cobra.Command {
	return newRole(process.Speaker, func(ctx context.Context, in *process.Inherited) error {
		return speaker.Run(ctx, in.Links[process.Director], vrrpsock.Network{}, in.Orphaned, newLogger(s.stderr, "speaker"))
	}, s)
}

func newChecker(s *settings) *cobra.Command {
	return newRole(process.Checker, func(ctx context.Context, in *process.Inherited) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-in.Orphaned:
				cancel()
			case <-ctx.Done():
			}
		}()
		return checker.Run(ctx, in.Links[process.Director], newLogger(s.stderr, "checker"))
	}, s)
}

func newDirector(s *settings) *cobra.Command {
	cmd := newRole(process.Director, func(ctx context.Context, in *process.Inherited) error {
		log := newLogger(s.stderr, "director")
		reload := make(chan os.Signal, 1)
		signal.Notify(reload, syscall.SIGHUP)
		defer signal.Stop(reload)
		tell := func(state string) func() {
			return func() {
				if _, err := daemon.SdNotify(false, state); err != nil {
					log.Warn("telling systemd", "error", err)
				}
			}
		}
		host := newHost(s.runDir, log)
		defer host.Close()
		d := director.New(director.Options{
			Path: s.config,
			Load: func(before *config.Config) (*config.Config, error) {
				return config.LoadAgain(s.config, s.options(true), before)
			},
			// What was in force stays so even if an interface is gone by now.
			LoadTexts:  func(texts []config.Text) (*config.Config, error) { return config.LoadTexts(texts, s.options(false)) },
			Restarted:  process.Restarted(),
			RunDir:     s.runDir,
			StateDir:   s.stateDir,
			Supervisor: in.Links[process.Supervisor],
			Speaker:    in.Links[process.Speaker],
			Checker:    in.Links[process.Checker],
			Host:       host,
			RunProgram: script.RunSafe,
			Peers:      peer.NewUDP(log),
			Listen:     control.Listen,
			Ready:      tell(daemon.SdNotifyReady),
			Reloading:  tell(daemon.SdNotifyReloading),
			Release:    release(),
			Log:        log,
		})
		return d.Run(ctx, in.Orphaned, reload)
	}, s)
	s.addConfig(cmd)
	s.addRunDir(cmd)
	s.addStateDir(cmd)
	return cmd
}
