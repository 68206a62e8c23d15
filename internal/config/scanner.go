package config

import "strings"

// eof is what scanner.peek returns behind the last byte. A text with NUL bytes
// is refused before it is scanned.
const eof = 0

// scanner reads the tokens of a TOML text.
type scanner struct {
	text        string
	at          int // offset of the next byte
	deep, again int // see index
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return eof
}

func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// skipSpace skips spaces and tabs.
func (s *scanner) skipSpace() {
	for c := s.peek(); c == ' ' || c == '\t'; c = s.peek() {
		s.at++
	}
}

// skipComment skips a comment up to the end of its line.
func (s *scanner) skipComment() {
	if s.peek() != '#' {
		return
	}
	if n := strings.IndexByte(s.text[s.at:], '\n'); n >= 0 {
		s.at += n
	} else {
		s.at = len(s.text)
	}
}

// skipBlank skips spaces, newlines and comments.
func (s *scanner) skipBlank() {
	for {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.at++
		case '#':
			s.skipComment()
		default:
			return
		}
	}
}

// lineEnd reports whether the line or the text ends here.
func (s *scanner) lineEnd() bool {
	c := s.peek()
	return c == eof || c == '\n' || c == '\r'
}

// quoted scans a string of one line, delimited by quote.
func (s *scanner) quoted(quote byte) bool {
	s.at++
	for {
		switch c := s.peek(); {
		case s.at >= len(s.text) || c == '\n':
			return false
		case c == quote:
			s.at++
			return true
		case c == '\\' && quote == '"':
			s.at += 2
		default:
			s.at++
		}
	}
}

// multiline scans a string delimited by three quotes. Up to two more quotes
// before the closing three belong to the string.
func (s *scanner) multiline(quote byte) bool {
	closing := strings.Repeat(string(rune(quote)), 3)
	s.at += 3
	for s.at < len(s.text) {
		switch {
		case strings.HasPrefix(s.text[s.at:], closing):
			s.at += 3
			for range 2 {
				if !s.accept(quote) {
					break
				}
			}
			return true
		case s.peek() == '\\' && quote == '"':
			s.at += 2
		default:
			s.at++
		}
	}
	return false
}

// bareValue scans a number, a boolean or a date, which may contain a space.
func (s *scanner) bareValue() bool {
	start := s.at
	end := strings.IndexAny(s.text[start:], ",]}#\r\n")
	if end < 0 {
		end = len(s.text) - start
	}
	s.at = start + len(strings.TrimRight(s.text[start:start+end], " \t"))
	return s.at > start
}

func isBare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
