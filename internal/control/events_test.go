package control

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/journal"
)

type journalOf struct {
	asked  *EventsRequest
	answer EventsResult
}

func (j journalOf) Events(_ context.Context, r EventsRequest) (EventsResult, error) {
	*j.asked = r
	return j.answer, nil
}

func TestEventsArriveAsTheyAre(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	var asked EventsRequest
	want := EventsResult{Events: []journal.Event{{ID: 5, At: at, Kind: journal.KindHealth, Subject: "web", By: "x"}}}
	b := node("lvs1")
	b.Journal = journalOf{&asked, want}
	path, _ := serve(t, b)
	request := EventsRequest{After: 4, Since: at, Wait: 3 * time.Second}
	got, err := NewClient(path).Events(t.Context(), request)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, events (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff(request, asked); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	// Nobody may hold a request for longer than it is answered.
	if _, err := NewClient(path).Events(t.Context(), EventsRequest{Wait: time.Hour}); err != nil || asked.Wait != maxWait {
		t.Errorf("a wait of an hour became %v, %v, want %v", asked.Wait, err, maxWait)
	}
	for _, query := range []string{"after=x", "after=-1", "since=now", "wait=1"} {
		if status, _, answer := ask(t, path, http.MethodGet, "/v1/events?"+query, ""); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, want %d", query, status, answer, http.StatusBadRequest)
		}
	}
}
