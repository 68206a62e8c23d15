package config

import (
	"testing"
	"time"
)

func TestNearest(t *testing.T) {
	candidates := []string{"addresses", "interval", "interface", "rr", "wrr"}
	for word, want := range map[string]string{
		"adresses":   "addresses",
		"address":    "addresses",
		"Interval":   "interval",
		"intrevals":  "interval",
		"itnerface":  "interface",
		"interfaces": "interface",
		"r":          "rr",
		"xyz":        "",
		"":           "",
		"a-very-long-word-that-is-longer-than-any-key-of-any-schema-could-ever-be": "",
	} {
		if got := nearest(word, candidates); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"ab", "AB", 0}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"name", "nmae", 1},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestPlain(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", time.Minute: "1m", 20 * time.Minute: "20m", time.Hour: "1h", 10 * time.Hour: "10h",
		time.Hour + time.Second: "1h0m1s", 61 * time.Minute: "1h1m", 1500 * time.Millisecond: "1.5s",
	} {
		if got := plain(d); got != want {
			t.Errorf("plain(%v) = %q, want %q", int64(d), got, want)
		}
		if again, err := time.ParseDuration(want); err != nil || again != d {
			t.Errorf("%q is %v, %v", want, again, err)
		}
	}
}
