package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/director"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp/vrrpsock"
)

func newCleanup(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "After a crash: resign, and take the addresses away",
		Long: `Do for a node whose processes are gone what they can no longer do: have its
virtual routers resign, wait until the successor is heard, take the virtual
addresses away, and restore the kernel parameters. IPVS entries stay; the next
start adopts them. The systemd unit calls it; where haldir runs it does nothing.`,
		Example: "  haldir cleanup",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.cleanup(cmd.Context()) },
	}
	s.addSocket(cmd)
	return cmd
}

func (s *settings) cleanup(ctx context.Context) error {
	log := newLogger(s.stderr, "cleanup")
	if err := privileged(); err != nil {
		return usage(err)
	}
	bounded, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	if _, err := s.client().Status(bounded); err == nil {
		log.Info("haldir runs: nothing to clean up")
		return nil
	}
	// A director that is just being restarted does not answer, but the lock
	// says that the node lives.
	switch lock, err := process.Lock(s.runDir); {
	case err == nil:
		defer lock.Close()
	case errors.Is(err, process.ErrLocked):
		log.Info("haldir runs: nothing to clean up")
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return problem(err)
	}
	host := newHost(s.runDir, log)
	defer host.Close()
	if err := director.Cleanup(ctx, s.runDir, host, vrrpsock.Network{}, log); err != nil {
		return problem(err)
	}
	return nil
}
