package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/haldir-lb/haldir/internal/script"
)

// run runs the program of a hook.
func (n *Notifier) run(e Event, h Hook) error {
	ctx, cancel := context.WithTimeout(n.base, h.Timeout)
	defer cancel()
	got, err := n.Run(ctx, script.Command{Args: h.arguments(e), Env: e.environment(), User: h.User})
	said := firstLine(got.Output)
	if said != "" {
		said = ": " + said
	}
	switch {
	case errors.Is(err, script.ErrNotStarted):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: killed after %v%s", h.Command[0], h.Timeout, said)
	case err != nil:
		return fmt.Errorf("%s: %w", h.Command[0], err)
	case got.Signal != "":
		return fmt.Errorf("%s: ended by a signal: %s%s", h.Command[0], got.Signal, said)
	case got.Exit != 0:
		return fmt.Errorf("%s: exit status %d%s", h.Command[0], got.Exit, said)
	}
	return nil
}

// post delivers an event to the URL of a hook.
func (n *Notifier) post(e Event, h Hook) error {
	ctx, cancel := context.WithTimeout(n.base, h.Timeout)
	defer cancel()
	body, err := json.Marshal(e.body())
	if err != nil {
		return fmt.Errorf("encoding a notification: %w", err)
	}
	if err := n.Post(ctx, h.URL, body); err != nil {
		return fmt.Errorf("%s: %w", host(h.URL), err)
	}
	return nil
}

// client follows no redirect and uses no proxy, and no connection is kept: events
// are rare.
var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second},
}

// Post sends JSON to a URL. Any answer of 200 to 299 will do.
func Post(ctx context.Context, to string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("not a URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "haldir")
	response, err := client.Do(request)
	if err != nil {
		// The URL may hold a secret; what is said of it is the host alone.
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}

// host is what may be said of a URL.
func host(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" {
		return "the URL"
	}
	return u.Scheme + "://" + u.Host
}
