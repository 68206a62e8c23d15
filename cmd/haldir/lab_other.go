//go:build !linux

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func dispatch([]string) (status int, ours bool) { return 0, false }

func newLab(*settings) *cobra.Command {
	return &cobra.Command{
		Use:   "lab",
		Short: "A whole cluster on this machine (Linux only)",
		RunE: func(*cobra.Command, []string) error {
			return usage(fmt.Errorf("running a lab: %w", errors.ErrUnsupported))
		},
	}
}
