package vrrpsock_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// TestFloodIsCountedAndChangesNothing: a foreign speaker sends packets of every
// wrong kind. Each is counted by its reason, the master stays master and
// advertises, and the log has a line for each kind, not for each packet. Of other
// people's VRIDs the process hears nothing at all.
func TestFloodIsCountedAndChangesNothing(t *testing.T) {
	const rounds, together = 40, 25 // of each kind; so many fit the socket's buffer at once
	s := newSegment(t)
	a, stranger := s.host("a", alpha), s.host("b", beta).mustOpen()
	log := &lines{}
	speaker := vrrp.NewSpeaker(a, func(vrrp.Transition) {}, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- speaker.Run(ctx) }()
	speaker.Set([]vrrp.RouterConfig{config(255, 20*time.Millisecond)}, nil)
	status := func() vrrp.RouterStatus {
		all, err := speaker.Status(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("status %+v, %v", all, err)
		}
		return all[0]
	}
	eventually(t, "the owner to be master", func() bool { return status().State == vrrp.Master })

	own := func(change func([]byte) []byte) []byte { return change(message(t, beta, 51)) }
	kinds := map[vrrp.DropReason][]byte{
		vrrp.DropChecksum: own(func(b []byte) []byte { b[6] ^= 0xff; return b }),
		vrrp.DropLength:   own(func(b []byte) []byte { return b[:len(b)-1] }),
		vrrp.DropVersion:  own(func(b []byte) []byte { b[0] = 0x41; return b }),
		vrrp.DropType:     own(func(b []byte) []byte { b[0] = 0x3f; return b }),
	}
	before := status()
	for round := range rounds {
		var batch [][]byte
		for range together {
			batch = append(batch, message(t, beta, 52))
			for _, b := range kinds {
				batch = append(batch, b)
			}
		}
		for len(batch) > 0 {
			n, err := stranger.Send(beta, batch)
			if err != nil {
				t.Fatal(err)
			}
			batch = batch[n:]
		}
		want := uint64((round + 1) * together)
		eventually(t, "every packet to be counted", func() bool {
			now := status()
			for reason := range kinds {
				if now.Dropped[reason.String()] != want {
					return false
				}
			}
			return true
		})
	}
	sent := status().Sent
	eventually(t, "further adverts", func() bool { return status().Sent > sent+1 })

	after := status()
	if after.State != vrrp.Master || !after.Since.Equal(before.Since) || after.Received != 0 {
		t.Errorf("the router is %v since %v and accepted %d packets, want master since %v and none", after.State, after.Since, after.Received, before.Since)
	}
	if len(after.Dropped) != len(kinds) {
		t.Errorf("dropped %v, want the kinds that were sent and nothing of other VRIDs", after.Dropped)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "dropping a packet"); got != len(kinds) {
		t.Errorf("%d lines of log for %d packets, want one for each of %d kinds", got, rounds*together*len(kinds), len(kinds))
	}
}

// lines is read when nobody writes any more.
type lines struct{ strings.Builder }
