package main

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/haldir-lb/haldir/internal/control"
)

// A daemon that is killed while it answers is none that runs.
func TestWhoHangsUpIsAskedAgain(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Read(make([]byte, 1)) // what is not read makes a reset of the end
		_ = listener.Close()
		_ = conn.Close()
	}()
	if err := ask(t.Context(), socket); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("ask = %v, want %v", err, control.ErrNotRunning)
	}
	<-asked
}
