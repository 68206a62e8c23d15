package healthcheck

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// HTTPExpect is what an HTTP answer has to be like.
type HTTPExpect struct {
	// Status lists the legal status codes; empty is 200 to 299.
	Status []StatusRange `json:"status,omitempty"`
	// Body has to occur in the first 64 KiB of the body.
	Body string `json:"body,omitempty"`
	// BodyRegexp has to match there, in the syntax of the package regexp.
	BodyRegexp string `json:"body_regexp,omitempty"`
	// JSON are fields that the body, a JSON document of at most 64 KiB, has to
	// have with these values: texts, numbers or truth values, by their paths:
	// "checks.0.state".
	JSON map[string]any `json:"json,omitempty"`
	// Headers have to be there with these values; an empty one stands for any.
	Headers map[string]string `json:"headers,omitempty"`
}

// StatusRange is the status codes from Low to High, both 100 to 599, written
// "200" or "200-299".
type StatusRange struct{ Low, High int }

// MarshalText implements encoding.TextMarshaler.
func (r StatusRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Compare orders ranges by their bounds.
func (r StatusRange) Compare(other StatusRange) int {
	return cmp.Or(cmp.Compare(r.Low, other.Low), cmp.Compare(r.High, other.High))
}

func (r StatusRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *StatusRange) UnmarshalText(text []byte) error {
	low, high, isRange := strings.Cut(string(text), "-")
	if !isRange {
		high = low
	}
	for _, bound := range []struct {
		text string
		into *int
	}{{low, &r.Low}, {high, &r.High}} {
		n, err := strconv.ParseUint(bound.text, 10, 16)
		if err != nil || n < 100 || n > 599 || len(bound.text) != 3 {
			return fmt.Errorf("%q is not a status code", shorten(bound.text))
		}
		*bound.into = int(n)
	}
	if r.Low > r.High {
		return fmt.Errorf("the range %s is upside down", shorten(string(text)))
	}
	return nil
}

// httpMatcher is an HTTPExpect made ready.
type httpMatcher struct {
	HTTPExpect
	names []string // of Headers, sorted
	paths []string // of JSON, sorted
	body  *regexp.Regexp
}

func (e HTTPExpect) matcher(method string) (*httpMatcher, error) {
	m := &httpMatcher{HTTPExpect: e}
	if len(m.Status) == 0 {
		m.Status = []StatusRange{{200, 299}}
	}
	for name := range e.Headers {
		if !isToken(name) {
			return nil, fmt.Errorf("headers: %q is not a header name", name)
		}
	}
	m.names = slices.Sorted(maps.Keys(e.Headers))
	for path, value := range e.JSON {
		if err := cmp.Or(ValidJSONPath(path), validJSONValue(value)); err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
	}
	m.paths = slices.Sorted(maps.Keys(e.JSON))
	if method == http.MethodHead && (e.Body != "" || e.BodyRegexp != "" || len(e.JSON) > 0) {
		return nil, errors.New("an answer to HEAD has no body")
	}
	if e.BodyRegexp != "" {
		var err error
		if m.body, err = regexp.Compile(e.BodyRegexp); err != nil {
			return nil, fmt.Errorf("body_regexp: %w", err)
		}
	}
	return m, nil
}

// judge compares the answer with what is expected. The body is read only where
// something is expected of it.
func (m *httpMatcher) judge(response *http.Response) Result {
	status := "status " + strconv.Itoa(response.StatusCode)
	if !slices.ContainsFunc(m.Status, func(r StatusRange) bool {
		return r.Low <= response.StatusCode && response.StatusCode <= r.High
	}) {
		detail := status
		if location := response.Header.Get("Location"); location != "" {
			detail += " to " + shorten(location)
		}
		return Result{Outcome: Fail, Reason: ReasonStatus, Detail: detail}
	}
	for _, name := range m.names {
		want, values := m.Headers[name], response.Header.Values(name)
		switch {
		case len(values) == 0:
			return Result{Outcome: Fail, Reason: ReasonHeader, Detail: name + " is missing"}
		case want != "" && !slices.Contains(values, want):
			return Result{Outcome: Fail, Reason: ReasonHeader, Detail: name + ": " + quoted([]byte(values[0]))}
		}
	}
	if m.Body == "" && m.body == nil && len(m.paths) == 0 {
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: status}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, readLimit))
	if err != nil {
		return bodyResult(err)
	}
	if len(m.paths) > 0 {
		if r, equal := judgeJSON(body, m.paths, m.JSON); !equal {
			return r
		}
	}
	if strings.Contains(string(body), m.Body) && (m.body == nil || m.body.Match(body)) {
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: status}
	}
	detail := fmt.Sprintf("not in %d bytes: %s", len(body), quoted(body))
	if len(body) == readLimit {
		detail = fmt.Sprintf("not in the first %d bytes", readLimit)
	}
	return Result{Outcome: Fail, Reason: ReasonBody, Detail: detail}
}

// bodyResult translates the error of reading a body.
func bodyResult(err error) Result {
	r := talkResult(err, "the end of the body")
	if r.Reason == ReasonError {
		r.Reason = ReasonMalformed
	}
	return r
}
