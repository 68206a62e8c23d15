package healthcheck

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestJSONExpectations(t *testing.T) {
	const good = `{"status":"ok","ready":true,"load":0.5,"none":null,"db":[{"up":true},{"up":false}]}`
	for _, test := range []struct {
		name    string
		body    string
		want    map[string]any
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"text, truth, number", good, map[string]any{"status": "ok", "ready": true, "load": 0.5}, Pass, ReasonAnswered, ""},
		{"within lists", good, map[string]any{"db.0.up": true, "db.1.up": false}, Pass, ReasonAnswered, ""},
		{"another text", good, map[string]any{"status": "up"}, Fail, ReasonBody, `status is "ok"`},
		{"text for a number", good, map[string]any{"load": "0.5"}, Fail, ReasonBody, "load is 0.5"},
		{"number for a truth value", good, map[string]any{"ready": 1.0}, Fail, ReasonBody, "ready is true"},
		{"null", good, map[string]any{"none": ""}, Fail, ReasonBody, "none is null"},
		{"a table", good, map[string]any{"db": "x"}, Fail, ReasonBody, "db is ["},
		{"missing", good, map[string]any{"a.b": "x"}, Fail, ReasonBody, "a.b is missing"},
		{"beyond a list", good, map[string]any{"db.2.up": true}, Fail, ReasonBody, "db.2.up is missing"},
		{"below a text", good, map[string]any{"status.x": "y"}, Fail, ReasonBody, "status.x is missing"},
		{"the first in order", good, map[string]any{"b": "x", "a": "x"}, Fail, ReasonBody, "a is missing"},
		{"not JSON", "<html>", map[string]any{"a": "x"}, Fail, ReasonMalformed, "not JSON"},
		{"empty", "", map[string]any{"a": "x"}, Fail, ReasonMalformed, "not JSON"},
		{"two documents", "{}{}", map[string]any{"a": "x"}, Fail, ReasonMalformed, "not JSON"},
		{"deep", strings.Repeat("[", 20000), map[string]any{"a": "x"}, Fail, ReasonMalformed, "not JSON"},
		{"a number beyond all bounds", `{"a":1e999}`, map[string]any{"a": 1.0}, Fail, ReasonBody, "a is 1e999"},
		{"too long", `{"a":"` + strings.Repeat("x", readLimit) + `"}`, map[string]any{"a": "x"}, Fail, ReasonTooLong, "does not end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			address := web(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, test.body) })
			want(t, probe(t, HTTP{Expect: HTTPExpect{JSON: test.want}}, address, time.Second), test.outcome, test.reason, test.detail)
		})
	}
	for _, bad := range []HTTP{
		{Expect: HTTPExpect{JSON: map[string]any{"a..b": "x"}}}, {Expect: HTTPExpect{JSON: map[string]any{"": "x"}}},
		{Expect: HTTPExpect{JSON: map[string]any{"a": nil}}}, {Method: "HEAD", Expect: HTTPExpect{JSON: map[string]any{"a": "x"}}},
	} {
		if err := Encode(bad).Validate("http"); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,true,"x"]}}`), "a.b.2")
	f.Add([]byte(`[{"a":null}]`), "0.a")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		r, equal := judgeJSON(body, []string{path}, map[string]any{path: "x"})
		if equal != (r == Result{}) || !equal && r.Outcome != Fail || len(r.Detail) > 600 {
			t.Errorf("result = %+v (%v)", r, equal)
		}
		if equal && !slices.Contains(body, 'x') && !strings.Contains(string(body), `\u`) {
			t.Errorf("%q has no x at %q", body, path)
		}
	})
}
