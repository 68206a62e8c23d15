package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/control"
)

// clientBound is how long a command waits for the daemon.
const clientBound = 30 * time.Second

func newReload(s *settings) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Validate the configuration and apply the difference",
		Long: `Have the daemon read its configuration again and apply the difference. Adverts
never pause. A file that is wrong is refused, and everything stays as it was.

Exit status 0: applied, and read back from the kernel. 1: applied, but the
kernel has not followed. 2: refused, nothing was changed.`,
		Example: "  haldir reload",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.reload(cmd.Context()) },
	}
	s.addSocket(cmd)
	s.addJSON(cmd)
	return cmd
}

// addSocket adds the flags by which a command finds the daemon.
func (s *settings) addSocket(cmd *cobra.Command) {
	s.addRunDir(cmd)
	cmd.Flags().StringVar(&s.socket, "socket", "", "API socket (default: "+control.SocketName+" in the run directory)")
}

func (s *settings) client() *control.Client {
	path := s.socket
	if path == "" {
		path = filepath.Join(s.runDir, control.SocketName)
	}
	return control.NewClient(path)
}

func (s *settings) reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	result, err := s.client().Reload(ctx)
	if err != nil {
		return problem(err)
	}
	if s.json {
		if err := printJSON(s.stdout, result); err != nil {
			return problem(err)
		}
	}
	if !result.Applied {
		if !s.json {
			for _, line := range result.Errors {
				fmt.Fprintln(s.stderr, line)
			}
			fmt.Fprintln(s.stderr, "haldir: refused; nothing was changed")
		}
		return &statusError{code: exitUsage}
	}
	if s.json {
		return nil
	}
	for _, line := range result.Changes {
		fmt.Fprintln(s.stdout, line)
	}
	if len(result.Changes) == 0 {
		fmt.Fprintln(s.stdout, "applied; nothing is different")
	}
	return nil
}
