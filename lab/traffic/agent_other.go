//go:build !linux

package traffic

import (
	"context"
	"errors"
	"fmt"
)

func respond(<-chan Command, *lines) error { return errUnsupported() }

func runClient(context.Context, ClientConfig, <-chan Command, *lines) error { return errUnsupported() }

func runDownloads(context.Context, DownloadConfig, <-chan Command, *lines) error {
	return errUnsupported()
}

func errUnsupported() error {
	return fmt.Errorf("the lab's agents need Linux: %w", errors.ErrUnsupported)
}
