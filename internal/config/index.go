package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// The TOML library says what a document contains, but not where. The index says
// where, and leaves what is legal to the library: for a document that the
// library accepts, the tree of entries has the shape of the decoded value.

// maxDepth bounds the nesting of values and the length of dotted keys, because
// the library recurses without a bound. The schema needs less than 8.
const maxDepth = 32

// entry is where one value is written.
type entry struct {
	key        int // offset of the key's last part, of the [header], or of the list's element
	start, end int // offsets of the value; equal for a table with a header or with dotted keys
	table      map[string]*entry
	items      []*entry // elements of a list, or tables of an array of tables
	header     bool     // an array of tables made by [[headers]]: later headers refer to its last item
}

// child returns the entry of key below e. Where the index has none, it returns e
// itself, so that a diagnostic always has a position.
func (e *entry) child(key string) *entry {
	if c := e.table[key]; c != nil {
		return c
	}
	return e
}

// item is child for the i-th element of a list.
func (e *entry) item(i int) *entry {
	if i < len(e.items) {
		return e.items[i]
	}
	return e
}

// index is what scanning a text gave.
type index struct {
	root     *entry
	complete bool // the text was read to its end, which every TOML is
	// deep is the offset of what is nested too deeply, or -1.
	deep int
	// again is the offset of a key that has a value already, or -1. The library
	// misses some of these and drops the second value.
	again int
}

// indexText finds where everything in text is.
func indexText(text string) index {
	s := &scanner{text: text, deep: -1, again: -1}
	root := newTable(0)
	complete := s.document(root)
	return index{root, complete, s.deep, s.again}
}

func newTable(offset int) *entry {
	return &entry{key: offset, start: offset, end: offset, table: map[string]*entry{}}
}

// document scans a whole text. Like all methods that return a bool, it returns
// false, with the scanner anywhere, when it meets what it cannot read.
func (s *scanner) document(root *entry) bool {
	current := root
	for {
		s.skipBlank()
		switch s.peek() {
		case eof:
			return true
		case '[':
			if current = s.header(root); current == nil {
				return false
			}
		default:
			if !s.pair(current, 0) {
				return false
			}
		}
		s.skipSpace()
		s.skipComment()
		if !s.lineEnd() {
			return false
		}
	}
}

// header scans [a.b] or [[a.b]] and returns the table it opens, or nil.
func (s *scanner) header(root *entry) *entry {
	start := s.at
	s.at++
	array := s.accept('[')
	parts := s.keyParts()
	if parts == nil || !s.accept(']') || array && !s.accept(']') {
		return nil
	}
	table := root
	for _, part := range parts[:len(parts)-1] {
		if table = table.descend(part.name, start); table == nil {
			return nil
		}
	}
	last := parts[len(parts)-1].name
	if !array {
		table = table.descend(last, start)
		if table != nil {
			table.key, table.start, table.end = start, start, start
		}
		return table
	}
	list := table.table[last]
	if list == nil {
		list = &entry{key: start, start: start, end: start, header: true}
		table.table[last] = list
	}
	if !list.header {
		return nil
	}
	item := newTable(start)
	list.items = append(list.items, item)
	return item
}

// descend returns the table called name below e, making it if need be, or nil if
// name is no table. In an array of tables it is the last one.
func (e *entry) descend(name string, offset int) *entry {
	c := e.table[name]
	if c == nil {
		c = newTable(offset)
		e.table[name] = c
	}
	if c.header {
		c = c.items[len(c.items)-1]
	}
	if c.table == nil {
		return nil
	}
	return c
}

// pair scans key = value into table.
func (s *scanner) pair(table *entry, depth int) bool {
	parts := s.keyParts()
	if parts == nil || !s.accept('=') {
		return false
	}
	for _, part := range parts[:len(parts)-1] {
		if table = table.descend(part.name, part.offset); table == nil {
			return false
		}
	}
	s.skipSpace()
	value := s.value(depth)
	if value == nil {
		return false
	}
	last := parts[len(parts)-1]
	value.key = last.offset
	if table.table[last.name] != nil {
		s.again = last.offset
		return false
	}
	table.table[last.name] = value
	return true
}

type keyPart struct {
	name   string
	offset int
}

// keyParts scans a dotted key and the space around it. It returns nil if there is none.
func (s *scanner) keyParts() []keyPart {
	var parts []keyPart
	for {
		s.skipSpace()
		start := s.at
		if len(parts) == maxDepth {
			s.deep = start
			return nil
		}
		name, ok := s.keyName()
		if !ok {
			return nil
		}
		parts = append(parts, keyPart{name, start})
		s.skipSpace()
		if !s.accept('.') {
			return parts
		}
	}
}

func (s *scanner) keyName() (string, bool) {
	start := s.at
	switch s.peek() {
	case '"', '\'':
		if !s.quoted(s.peek()) {
			return "", false
		}
		// The library decodes the escapes: both then agree on the name.
		var one struct {
			Key string `toml:"key"`
		}
		_, err := toml.Decode("key = "+s.text[start:s.at], &one)
		return one.Key, err == nil
	}
	for isBare(s.peek()) {
		s.at++
	}
	return s.text[start:s.at], s.at > start
}

// value scans any value and returns its entry, or nil.
func (s *scanner) value(depth int) *entry {
	if depth == maxDepth {
		s.deep = s.at
		return nil
	}
	v := &entry{key: s.at, start: s.at}
	ok := false
	switch c := s.peek(); c {
	case '[':
		ok = s.list(v, depth+1)
	case '{':
		ok = s.inlineTable(v, depth+1)
	case '"', '\'':
		if strings.HasPrefix(s.text[s.at:], strings.Repeat(string(rune(c)), 3)) {
			ok = s.multiline(c)
		} else {
			ok = s.quoted(c)
		}
	default:
		ok = s.bareValue()
	}
	if !ok {
		return nil
	}
	v.end = s.at
	return v
}

func (s *scanner) list(v *entry, depth int) bool {
	s.at++
	for {
		s.skipBlank()
		if s.accept(']') {
			return true
		}
		item := s.value(depth)
		if item == nil {
			return false
		}
		v.items = append(v.items, item)
		s.skipBlank()
		if !s.accept(',') && s.peek() != ']' {
			return false
		}
	}
}

func (s *scanner) inlineTable(v *entry, depth int) bool {
	v.table = map[string]*entry{}
	s.at++
	for {
		s.skipBlank()
		if s.accept('}') {
			return true
		}
		if !s.pair(v, depth) {
			return false
		}
		s.skipBlank()
		if !s.accept(',') && s.peek() != '}' {
			return false
		}
	}
}
