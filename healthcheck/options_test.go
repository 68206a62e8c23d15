package healthcheck

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOptionsSurviveTheirText(t *testing.T) {
	spec := HTTPS{
		HTTP: HTTP{Method: "POST", Headers: map[string]string{"B": "1", "A": "2"},
			Expect: HTTPExpect{Status: []StatusRange{{200, 200}, {300, 399}}}},
		TLS:   TLS{SNI: "a.example", ExpiryWarning: Span(336 * time.Hour)},
		HTTP2: true,
	}
	text := Encode(spec)
	const want = `{"method":"POST","headers":{"A":"2","B":"1"},"expect":{"status":["200","300-399"]},` +
		`"sni":"a.example","expiry_warning":"336h0m0s","http2":true}`
	if string(text) != want {
		t.Errorf("text = %s, want %s", text, want)
	}
	var again HTTPS
	if err := text.decode(&again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(spec, again); d != "" {
		t.Errorf("options differ (-want +got):\n%s", d)
	}
	if got := Encode(TCP{}); got != "" {
		t.Errorf("the text of no options is %q, want none", got)
	}
	if got := Encode(TCP{Expect: Hex("ab\xff")}); got != `{"expect_hex":"6162ff"}` {
		t.Errorf("bytes are written %s", got)
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	tests := []struct {
		kind    string
		options Options
		want    string
	}{
		{"smoke", "", "unknown"},
		{"tcp", `{"path":"/"}`, "unknown field"},
		{"tcp", `{`, "unexpected EOF"},
		{"tcp", `{}{}`, "more than one value"},
		{"tcp", `{"expect_hex":"0"}`, "odd length"},
		{"http", `{"expect":{"status":["99"]}}`, "not a status code"},
		{"http", `{"expect":{"status":["600"]}}`, "not a status code"},
		{"http", `{"expect":{"status":["300-200"]}}`, "upside down"},
		{"http", `{"sni":"a"}`, "unknown field"},
		{"tls", `{"expiry_warning":"14d"}`, "unknown unit"},
	}
	for _, tt := range tests {
		if err := tt.options.Validate(tt.kind); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: error %v, want one with %q", tt.kind, tt.options, err, tt.want)
		}
	}
}

func TestTargetsWithEqualOptionsShareAChecker(t *testing.T) {
	made := checkerCache{}
	with := func(o Options) func(*Target) { return func(t *Target) { t.Type, t.Options = "http", o } }
	a, b, c := target("a", with(`{"path":"/x"}`)), target("b", with(`{"path":"/x"}`)), target("c", with(`{"path":"/y"}`))
	for _, one := range []Target{a, b, c} {
		if _, err := made.prepare(one); err != nil {
			t.Fatal(err)
		}
	}
	if len(made) != 2 {
		t.Errorf("%d checkers were made, want 2", len(made))
	}
	made.keep([]Target{b})
	if len(made) != 1 || made[checkerKey{"http", b.Options}] == nil {
		t.Errorf("kept %v, want that of b alone", made)
	}
}

func TestOtherOptionsKeepTheStateAndChangeTheChecker(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	b.check("a", pass)
	b.assign(target("a", func(t *Target) { t.Options = Encode(TCP{Expect: Hex("x")}) }))
	e := b.entries["a"]
	if e.verdict.Status != Up {
		t.Errorf("status = %s, want up", e.verdict.Status)
	}
	got := e.check(t.Context(), time.Now(), Target{Address: hostile(t, says("x"))})
	want(t, got, Pass, ReasonAnswered, "")
}

func TestShortenMakesOnePrintableLine(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"two\r\nlines\r\n", "two..lines"},
		{"\x1b[31mred\xff", ".[31mred."},
		{strings.Repeat("ä", 100), strings.Repeat("ä", 60) + "…"},
		{"a" + strings.Repeat("ä", 100), "a" + strings.Repeat("ä", 59) + "…"},
	}
	for _, tt := range tests {
		if got := shorten(tt.in); got != tt.want {
			t.Errorf("shorten(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
