package main

import (
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

func TestRenderSync(t *testing.T) {
	yes, no := true, false
	s := control.SyncStatus{Interface: "eth1", ID: 51, Sends: &yes, Listens: &no, Connections: &control.SyncConnections{Own: 14, Learned: 2}}
	render := func() string {
		var b strings.Builder
		renderSync(&b, &s, paint(false))
		return b.String()
	}
	const head = "\nconnection sync on eth1, id 51: sends, does not listen\n  14 connections seen here, 2 learned from others\n"
	if got, want := render(), head+"  unknown what the other director has: it tells nothing of it\n"; got != want {
		t.Errorf("without word from the other: %q, want %q", got, want)
	}
	s.Others = []control.SyncOther{{Node: "lvs2", Age: control.Of(3 * time.Second), SyncConnections: control.SyncConnections{Own: 2, Learned: 13}}}
	if got, want := render(), head+"  lvs2 has learned 13, and seen 2 itself, 3s ago\n"; got != want {
		t.Errorf("with word from the other: %q, want %q", got, want)
	}
}
