package config

import (
	"strconv"
	"strings"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// list joins words as a readable list: a, b, c.
func list(words []string) string { return strings.Join(words, ", ") }

// plain formats a duration without the zero units that Duration.String appends:
// "1h" rather than "1h0m0s".
func plain(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
