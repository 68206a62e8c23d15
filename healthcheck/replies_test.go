package healthcheck

import (
	"bytes"
	"io"
	"slices"
	"testing"
)

// canned is a server that has said all it will ever say.
type canned struct{ io.Reader }

func (canned) Write(b []byte) (int, error) { return len(b), nil }

// FuzzReplies has every parser of replies over TCP read what is fuzzed.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{
		"220-a\r\n220 b\r\n250-c\r\n250 STARTTLS\r\n221 d\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"+PONG\r\n", "-LOADING\r\n",
		"\x0a\x00\x00\x00\x0a5.5\x00abcdef\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00",
		"\x09\x00\x00\x00\xff\x10\x04#08004x", "R\x00\x00\x00\x08\x00\x00\x00\x00", "E\x00\x00\x00\x0eSFATAL\x00C57P03\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	web, err := HTTP{Expect: HTTPExpect{Body: "ok", Headers: map[string]string{"A": "b"}}}.probe("http")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		results := []Result{
			SMTP{}.greet(newDialogue(canned{bytes.NewReader(said)})),
			pingRedis(canned{bytes.NewReader(said)}),
			MySQL{}.greet(canned{bytes.NewReader(said)}),
			PostgreSQL{}.start(canned{bytes.NewReader(said)}),
			web.exchange(t.Context(), canned{bytes.NewReader(said)}, target("a")),
		}
		if passed := slices.IndexFunc(results, func(r Result) bool { return r.Outcome == Pass }); passed >= 0 && len(said) < 5 {
			t.Errorf("checker %d passes on %q", passed, said)
		}
		for i, r := range results {
			if r.Reason == ReasonError || r.Outcome == Inconclusive || len(r.Detail) > 400 {
				t.Errorf("checker %d: result = %+v", i, r)
			}
		}
	})
}
