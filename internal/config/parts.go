package config

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// parts is how the texts of a configuration divide into [[service]] blocks, so
// that a later text needs to be read only where it differs.
type parts struct {
	files []division // in the order of Texts
	whole bool       // some text cannot be divided
	// sums are the digests of the services in their canonical form, in the order
	// of Services. A service that is taken over from another configuration has the
	// very sum of there.
	sums []*sum
}

type sum [sha256.Size]byte

// division is one file: what is before the first block, then the blocks, each of
// which ends where the next begins.
type division struct {
	starts []int // the offsets of the lines that open the blocks
	// always marks blocks that have to be read each time: their meaning depends
	// on the host, or they hold more than a service.
	always []bool
}

const serviceHeader = "[[service]]"

// divide finds the blocks in a text. It reports false where services are written
// in another way than with plain headers.
func divide(text string, root *entry) (division, bool) {
	list := root.table["service"]
	if list == nil {
		return division{}, true
	}
	d := division{starts: make([]int, len(list.items)), always: make([]bool, len(list.items))}
	for i, item := range list.items {
		start, ok := lineStart(text, item.key)
		if !ok || !strings.HasPrefix(text[item.key:], serviceHeader) {
			return division{}, false
		}
		d.starts[i] = start
	}
	for i := range d.starts {
		d.always[i] = !lasting(d.block(text, i))
	}
	return d, list.header
}

// block returns the i-th block of the text that d divides.
func (d division) block(text string, i int) string {
	if i+1 < len(d.starts) {
		return text[d.starts[i]:d.starts[i+1]]
	}
	return text[d.starts[i]:]
}

// head is what is before the first block.
func (d division) head(text string) string {
	if len(d.starts) == 0 {
		return text
	}
	return text[:d.starts[0]]
}

// lineStart returns where the line begins on which offset is the first that is no
// space.
func lineStart(text string, offset int) (int, bool) {
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	return start, strings.Trim(text[start:offset], " \t") == ""
}

// lasting reports whether a block means the same as long as its text is the same.
// A template has another result when the host's addresses change, and an escape
// may hide one. What looks like a header of anything else may be one.
func lasting(block string) bool {
	if strings.Contains(block, "{{") || strings.Contains(block, `\`) {
		return false
	}
	for i := 0; i < len(block); {
		line := block[i:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		i += len(line)
		line = strings.TrimLeft(line, " \t")
		if strings.HasPrefix(line, "[") && !slices.ContainsFunc(serviceHeaders(), func(h string) bool { return strings.HasPrefix(line, h) }) {
			return false
		}
	}
	return true
}

func serviceHeaders() []string { return []string{serviceHeader, "[[service.", "[service."} }

// nextBlock returns where the next line after offset from begins that looks like
// the header of a block, or the end of text.
func nextBlock(text string, from int) int {
	for at := from; ; {
		i := strings.Index(text[at:], serviceHeader)
		if i < 0 {
			return len(text)
		}
		if start, ok := lineStart(text, at+i); ok && start > from {
			return start
		}
		at += i + len(serviceHeader)
	}
}

// opensBlock reports whether a block, or nothing more, begins at offset.
func opensBlock(text string, offset int) bool {
	return offset == len(text) || text[offset-1] == '\n' && strings.HasPrefix(strings.TrimLeft(text[offset:], " \t"), serviceHeader)
}
