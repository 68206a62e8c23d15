package config

import (
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// source is the text of one file and its rank in the order of reading.
type source struct {
	name string
	rank int
	text string

	lines []int // offset of each line's first byte, made on first use
	cuts  []cut // in the order of their offsets
}

// cut says that whole lines were left out of a text in front of an offset.
type cut struct{ offset, lines int }

// cut notes that so many lines are left out in front of an offset.
func (s *source) cut(offset, lines int) {
	if n := len(s.cuts); n > 0 && s.cuts[n-1].offset == offset {
		s.cuts[n-1].lines += lines
		return
	}
	s.cuts = append(s.cuts, cut{offset, lines})
}

// position converts a byte offset to line and column, both from 1, the column
// in characters.
func (s *source) position(offset int) (line, column int) {
	if s.lines == nil {
		s.lines = append(s.lines, 0)
		for i := range len(s.text) {
			if s.text[i] == '\n' {
				s.lines = append(s.lines, i+1)
			}
		}
	}
	offset = min(max(offset, 0), len(s.text))
	line = sort.SearchInts(s.lines, offset+1)
	column = utf8.RuneCountInString(s.text[s.lines[line-1]:offset]) + 1
	for _, c := range s.cuts {
		if c.offset <= offset {
			line += c.lines
		}
	}
	return line, column
}

// place is where a key or a value is written, and what to call it.
type place struct {
	src    *source
	offset int
	path   path
	text   string // the value as written; empty for keys and for tables with a header
}

// seenFrom names p in a message about q: "line 7", or "file:7" in another file.
func (p place) seenFrom(q place) string {
	line, _ := p.src.position(p.offset)
	if p.src == q.src {
		return "line " + itoa(line)
	}
	return p.src.name + ":" + itoa(line)
}

// path names a key for people: the block it is in, then the keys below it.
type path struct {
	block string // `service "web"`, or empty
	keys  string // `real[1].address`, or empty
}

func (p path) key(key string) path {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r > 0x7f || !isBare(byte(r)) }) {
		key = strconv.Quote(key)
	}
	if p.keys != "" {
		key = p.keys + "." + key
	}
	return path{p.block, key}
}

func (p path) index(i int) path {
	return path{p.block, p.keys + "[" + itoa(i) + "]"}
}

func (p path) String() string {
	return strings.TrimSpace(p.block + " " + p.keys)
}

// findings collects the diagnostics of one run.
type findings struct {
	errors   Diagnostics
	warnings Diagnostics
}

// problem is what is wrong with a value, before it is known where that stands.
// The zero value is no problem.
type problem struct {
	message, legal, suggestion string
}

func (f *findings) add(p place, what problem) {
	// A table that others take from is read more than once.
	if found := diagnose(p, what); !slices.Contains(f.errors, found) {
		f.errors = append(f.errors, found)
	}
}

func (f *findings) warn(p place, what problem) {
	f.warnings = append(f.warnings, diagnose(p, what))
}

func diagnose(p place, what problem) Diagnostic {
	line, column := p.src.position(p.offset)
	return Diagnostic{
		File:       p.src.name,
		Line:       line,
		Column:     column,
		Path:       p.path.String(),
		Value:      shorten(p.text),
		Message:    what.message,
		Legal:      what.legal,
		Suggestion: what.suggestion,
		file:       p.src.rank,
	}
}

// shorten cuts text to what fits into a message.
func shorten(text string) string {
	const most = 60
	text, _, more := strings.Cut(text, "\n")
	text = strings.TrimRight(text, "\r")
	if runes := []rune(text); len(runes) > most {
		text, more = string(runes[:most]), true
	}
	if more {
		text += "…"
	}
	return text
}
