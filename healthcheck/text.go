package healthcheck

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// detailLimit bounds what a server's own words may add to a detail, in bytes.
const detailLimit = 120

// shorten returns text as one printable line of bounded length: what a server
// said ends in logs and on terminals.
func shorten(text string) string {
	end := len(text)
	if end > detailLimit {
		for end = detailLimit; end > 0 && !utf8.RuneStart(text[end]); end-- {
		}
	}
	cut := end < len(text)
	text = text[:end]
	text = strings.Map(visible, strings.TrimRight(text, "\r\n"))
	if cut {
		text += "…"
	}
	return text
}

// quoted is shorten for bytes, between quotation marks.
func quoted(got []byte) string {
	return `"` + shorten(string(got[:min(len(got), detailLimit+utf8.UTFMax)])) + `"`
}

// visible returns r, or a dot for what does not show or does more than that.
func visible(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return '.'
	}
	return r
}

// printable is what a program said, with its lines.
func printable(said []byte) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return visible(r)
	}, strings.TrimRight(string(said), "\r\n"))
}
