package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// ErrNotRunning is wrapped by errors that say that no daemon answers.
var ErrNotRunning = errors.New("haldir is not running here")

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 256 << 20

// abandoned reports whether a socket file has no process behind it.
func abandoned(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Client speaks to the daemon behind a Unix socket.
type Client struct {
	path  string
	limit int64 // of an answer, in bytes
	http  http.Client
}

// NewClient returns a client of the API socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, limit: maxAnswer, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks for the state of the node.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.do(ctx, http.MethodGet, "status", nil, &s)
}

// Reload asks the daemon to read its configuration again.
func (c *Client) Reload(ctx context.Context) (ReloadResult, error) {
	var r ReloadResult
	return r, c.do(ctx, http.MethodPost, "reload", nil, &r)
}

// Failover asks the daemon to hand mastership over. It may take HandoverBound.
func (c *Client) Failover(ctx context.Context, request FailoverRequest) (FailoverResult, error) {
	var r FailoverResult
	return r, c.do(ctx, http.MethodPost, "failover", request, &r)
}

// Maintenance switches maintenance on or off. It may take HandoverBound.
func (c *Client) Maintenance(ctx context.Context, request MaintenanceRequest) (MaintenanceResult, error) {
	var r MaintenanceResult
	return r, c.do(ctx, http.MethodPost, "maintenance", request, &r)
}

// do sends body in JSON, if there is one, and decodes the answer.
func (c *Client) do(ctx context.Context, method, what string, body, into any) error {
	response, err := c.send(ctx, method, what, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, c.limit+1))
	if err != nil {
		return fmt.Errorf("reading the answer for %s: %w", what, err)
	}
	if int64(len(data)) > c.limit {
		return fmt.Errorf("reading the answer for %s: it is longer than %d bytes", what, c.limit)
	}
	if response.StatusCode != http.StatusOK {
		return refusal(what, response, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding the answer for %s: %w", what, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, what string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("asking for %s: %w", what, err)
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://haldir/"+Version+"/"+what, content)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", what, err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		var wrapped *url.Error // says only what is known: a method and no real address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, fs.ErrNotExist) || abandoned(err) {
			err = ErrNotRunning
		}
		return nil, fmt.Errorf("asking for %s at %s: %w", what, c.path, err)
	}
	return response, nil
}

// refusal is the error that an answer which is no success stands for.
func refusal(what string, response *http.Response, body []byte) error {
	var f failure
	if json.Unmarshal(body, &f) != nil || f.Error == "" {
		return fmt.Errorf("asking for %s: %s: %s", what, response.Status, excerpt(body))
	}
	if response.StatusCode == http.StatusBadRequest {
		return invalidError(f.Error)
	}
	return errors.New(f.Error)
}

// invalidError is an ErrInvalid as it was said by the daemon.
type invalidError string

func (e invalidError) Error() string        { return string(e) }
func (e invalidError) Is(target error) bool { return target == ErrInvalid }

// excerpt is what of an answer that is none of ours goes into an error.
func excerpt(body []byte) string {
	const most = 200
	body = bytes.TrimSpace(body)
	if len(body) > most {
		return fmt.Sprintf("%q...", body[:most])
	}
	return fmt.Sprintf("%q", body)
}
