package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/haldir-lb/haldir/internal/journal"
)

// maxWait is how long a request for events may wait for one, well within the bound
// of a request.
const maxWait = 20 * time.Second

// EventsRequest asks for events.
type EventsRequest struct {
	After uint64        // only those with a higher ID
	Since time.Time     // only those from then on
	Wait  time.Duration // wait for one if there is none, at most maxWait
}

// EventsResult holds events, the oldest first.
type EventsResult struct {
	Events []journal.Event `json:"events"`
}

// Journal tells what happened.
type Journal interface {
	Events(ctx context.Context, request EventsRequest) (EventsResult, error)
}

// Events asks for events.
func (c *Client) Events(ctx context.Context, request EventsRequest) (EventsResult, error) {
	query := url.Values{}
	if request.After != 0 {
		query.Set("after", strconv.FormatUint(request.After, 10))
	}
	if !request.Since.IsZero() {
		query.Set("since", request.Since.Format(time.RFC3339Nano))
	}
	if request.Wait != 0 {
		query.Set("wait", request.Wait.String())
	}
	var r EventsResult
	return r, c.do(ctx, http.MethodGet, "events?"+query.Encode(), nil, &r)
}

// eventsRequest reads a query.
func eventsRequest(query url.Values) (EventsRequest, error) {
	var r EventsRequest
	var err error
	if s := query.Get("after"); s != "" && err == nil {
		r.After, err = strconv.ParseUint(s, 10, 64)
	}
	if s := query.Get("since"); s != "" && err == nil {
		r.Since, err = time.Parse(time.RFC3339Nano, s)
	}
	if s := query.Get("wait"); s != "" && err == nil {
		r.Wait, err = time.ParseDuration(s)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r.Wait = max(0, min(r.Wait, maxWait))
	return r, nil
}
