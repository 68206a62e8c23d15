package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
)

// zeroing answers with what it was asked for.
type zeroing struct {
	still
	problem string
}

func (z zeroing) Zero(_ context.Context, r control.ZeroRequest) (control.ZeroResult, error) {
	if r.Service == "wbe" {
		return control.ZeroResult{}, fmt.Errorf("%w: there is no service \"wbe\"", control.ErrInvalid)
	}
	return control.ZeroResult{Services: []control.ZeroedService{
		{Service: r.Service, Listen: "192.0.2.100:80", Before: &control.Stats{Connections: 7, InPackets: 70, OutPackets: 60}, Problem: z.problem},
		{Service: r.Service, Listen: "[2001:db8::100]:80"},
	}}, nil
}

func TestZero(t *testing.T) {
	for _, c := range []struct {
		problem string
		args    []string
		status  int
		stdout  string
		stderr  string
	}{
		{"", []string{"web"}, exitDone, "web at 192.0.2.100:80: 0, after 7 connections, 70 packets in and 60 out\nweb at [2001:db8::100]:80: not in the kernel of this node\n", ""},
		{"it burns", []string{"web"}, exitProblem, "web at 192.0.2.100:80: it burns\nweb at [2001:db8::100]:80: not in the kernel of this node\n", "haldir: not all counters were set to 0\n"},
		{"", []string{"wbe"}, exitUsage, "", "haldir: invalid request: there is no service \"wbe\"\n"},
	} {
		dir := t.TempDir()
		listener, err := control.Listen(filepath.Join(dir, control.SocketName))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() {
			ended <- control.Serve(ctx, listener, zeroing{problem: c.problem}, slog.New(slog.DiscardHandler))
		}()
		var stdout, stderr bytes.Buffer
		status := run(append([]string{"zero", "--run-dir", dir}, c.args...), &stdout, &stderr)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if status != c.status || stdout.String() != c.stdout || stderr.String() != c.stderr {
			t.Errorf("zero %v with problem %q: status %d, %q, %q; want %d, %q, %q",
				c.args, c.problem, status, stdout.String(), stderr.String(), c.status, c.stdout, c.stderr)
		}
	}
}
