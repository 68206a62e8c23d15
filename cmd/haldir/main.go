// Command haldir makes two Linux machines one load balancer that does not go
// away: VRRP, virtual addresses, IPVS and health checks on the directors,
// loopback addresses and ARP settings on the real servers.
//
// This package parses flags, plugs the kernel-facing packages into the pure
// ones, and runs. It is the only one that ends the process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/statefile"
)

// Exit statuses of every command.
const (
	exitDone    = 0
	exitProblem = 1 // it found a problem, or could not do what was asked
	exitUsage   = 2 // wrong usage or configuration: nothing was touched
)

func main() {
	if status, ours := dispatch(os.Args); ours {
		os.Exit(status)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	var status *statusError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		if status.err != nil {
			fmt.Fprintln(stderr, status.err)
		}
		return status.code
	}
	fmt.Fprintf(stderr, "haldir: %v (see %s --help)\n", err, cmd.CommandPath())
	return exitUsage
}

// statusError ends a command with a status. Without an error the command has
// said all there is to say.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }

// problem ends a command with status 1, usage with status 2.
func problem(err error) error { return &statusError{exitProblem, prefixed(err)} }
func usage(err error) error   { return &statusError{exitUsage, prefixed(err)} }

// prefixed says who speaks. Errors of a configuration begin with their place.
func prefixed(err error) error {
	var wrong config.Diagnostics
	if errors.As(err, &wrong) {
		return fmt.Errorf("%w\nhaldir: %s in the configuration", err, count(len(wrong), "error"))
	}
	return fmt.Errorf("haldir: %w", err)
}

// settings are the flags that several commands share.
type settings struct {
	config   string
	node     string
	runDir   string
	stateDir string
	socket   string
	json     bool
	director bool // check as a director does
	stdout   io.Writer
	stderr   io.Writer
}

const (
	defaultConfig = "/etc/haldir/haldir.toml"
	defaultRunDir = "/run/haldir"
)

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	s := &settings{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:           "haldir",
		Short:         "High availability for Linux directors: VRRP, IPVS and health checks in one program",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(
		newRun(s), newCheck(s), newReload(s), newStatus(s), newFailover(s), newMaintenance(s), newEvents(s),
		newRealserver(s), newDoctor(s), newARP(s), newTrace(s), newCleanup(s), newLab(s), newVersion(s),
		newSpeaker(s), newDirector(s), newChecker(s),
	)
	root.AddCommand(newOrders(s)...)
	root.AddCommand(newConnections(s), newZero(s))
	return root
}

func (s *settings) addConfig(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&s.config, "config", "c", defaultConfig, "configuration file, or a folder with haldir.toml and conf.d/*.toml")
	cmd.Flags().StringVar(&s.node, "node", "", "name of this node (default: [node] name, else the short host name)")
}

func (s *settings) addRunDir(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.runDir, "run-dir", defaultRunDir, "folder for the API socket and what outlives a process")
}

func (s *settings) addStateDir(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.stateDir, "state-dir", statefile.DefaultDir, "folder for what outlives a reboot")
}

func (s *settings) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
}
