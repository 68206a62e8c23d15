package peer

import (
	"strings"
	"unicode"
)

// printable reports whether a text can be shown on a terminal without harm.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
