package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
)

// still answers the same for ever.
type still struct {
	status control.Status
	result control.ReloadResult
	control.Operator
	control.Journal
}

func (s still) Status(context.Context) (control.Status, error)       { return s.status, nil }
func (s still) Reload(context.Context) (control.ReloadResult, error) { return s.result, nil }

// serve answers requests until the test ends, and returns its run directory.
func serve(t *testing.T, status control.Status, result control.ReloadResult) string {
	t.Helper()
	return serveBackend(t, still{status: status, result: result})
}

func serveBackend(t *testing.T, backend control.Backend) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := control.Listen(filepath.Join(dir, control.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- control.Serve(ctx, listener, backend, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return dir
}
