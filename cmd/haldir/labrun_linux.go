package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/haldir-lb/haldir/lab"
)

func (s *settings) newLabRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run FILE",
		Short: "Build the cluster of a file, play its faults, and account for every request",
		Long: `Build the cluster that a TOML file describes, send the client's requests, play
the file's steps one after the other, and print for each step what became of
the requests meanwhile: how many were answered and by whom, lost or reset, and
the longest time without an answer. docs/lab.md describes the file.

Exit status 0: every step could be done. 1: one could not. 2: the file is wrong.`,
		Example: "  haldir lab run etc/lab/failover.toml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := lab.LoadSpec(args[0])
			if err != nil {
				return usage(err)
			}
			return s.inLab(cmd.Context(), spec, args, func(ctx context.Context) error {
				return lab.Play(ctx, lab.PlayOptions{Spec: spec, Out: os.Stdout, JSON: s.json})
			})
		},
	}
	s.addJSON(cmd)
	return cmd
}
