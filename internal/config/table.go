package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// table reads one TOML table: each key is asked for once by name, and finish
// reports the keys that nobody asked for and the required ones that are missing.
type table struct {
	place
	found  *findings
	entry  *entry
	values map[string]any
	known  []string
	needed []string
	// base has the keys that this table does not; nil is none.
	base *table
}

// value is one value of a table or a list.
type value struct {
	place
	found *findings
	entry *entry
	data  any
}

// field is a value that was read as a T. It is set if the key is present, and
// good if what it holds is legal so far.
type field[T any] struct {
	place
	value T
	set   bool
	good  bool
}

// or returns the value, or fallback where there is no good one.
func (f field[T]) or(fallback T) T {
	if f.good {
		return f.value
	}
	return fallback
}

// sound reports whether the value or its default can be reasoned about further:
// what is wrong already gets no second message.
func (f field[T]) sound() bool { return f.good || !f.set }

// get returns the value of key, and whether there is one.
func (t *table) get(key string) (value, bool) {
	t.known = append(t.known, key)
	data, ok := t.values[key]
	if !ok && t.base != nil {
		return t.base.get(key)
	}
	if !ok {
		return value{place: t.place, found: t.found, entry: t.entry}, false
	}
	return t.value(key, data), true
}

func (t *table) value(key string, data any) value {
	e := t.entry.child(key)
	p := place{src: t.src, offset: e.start, path: t.path.key(key), text: t.src.text[e.start:e.end]}
	return value{place: p, found: t.found, entry: e, data: data}
}

// require notes that key must be present.
func (t *table) require(key string) { t.needed = append(t.needed, key) }

// finish reports unknown and missing keys. It returns how many keys were unknown
// and which ones they were probably meant to be.
func (t *table) finish() (unknown int, meant []string) {
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		if slices.Contains(t.known, key) {
			continue
		}
		unknown++
		what := problem{message: "unknown key"}
		if near := nearest(key, t.known); near != "" {
			if strings.EqualFold(near, key) {
				what.message = "unknown key: keys are case-sensitive"
			}
			what.suggestion = near
			meant = append(meant, near)
		} else if home := homeOf(key); home != "" {
			what.message = "unknown key here"
			what.legal = list(t.known) + "; " + key + " is a key of " + home
		} else {
			what.legal = list(t.known)
		}
		p := place{src: t.src, offset: t.entry.child(key).key, path: t.path.key(key)}
		t.found.add(p, what)
	}
	for _, key := range t.needed {
		if t.has(key) || slices.Contains(meant, key) {
			continue
		}
		p := t.place
		p.text = ""
		t.found.add(p, problem{message: fmt.Sprintf("the key %q is missing", key)})
	}
	return unknown, meant
}

// has reports whether key is here or in the base.
func (t *table) has(key string) bool {
	_, ok := t.values[key]
	return ok || t.base != nil && t.base.has(key)
}

// mismatch reports that v has another type than wanted.
func (v value) mismatch(wanted, legal, suggestion string) {
	v.found.add(v.place, problem{typeName(v.data) + ", where " + wanted + " belongs", legal, suggestion})
}

func typeName(data any) string {
	switch data.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "a truth value"
	case time.Time:
		return "a date or time"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "something else"
}

// child returns the table called key. Where key is absent, the table is empty
// and present is false; where it is no table, ok is false.
func (t *table) child(key string) (c *table, present, ok bool) {
	v, present := t.get(key)
	if !present {
		return &table{place: place{src: t.src, offset: t.offset, path: t.path.key(key)}, found: t.found, entry: t.entry}, false, true
	}
	values, ok := v.data.(map[string]any)
	if !ok {
		v.mismatch("a table", "["+v.header()+"] followed by its keys", "")
		return nil, true, false
	}
	return v.table(values), true, true
}

func (v value) table(values map[string]any) *table {
	return &table{place: v.place, found: v.found, entry: v.entry, values: values}
}

// children returns the tables of the array of tables called key.
func (t *table) children(key string) (tables []*table, ok bool) {
	v, present := t.get(key)
	if !present {
		return nil, true
	}
	var elements []any
	switch data := v.data.(type) {
	case []map[string]any:
		for _, element := range data {
			elements = append(elements, element)
		}
	case []any:
		elements = data
	case map[string]any:
		v.text = ""
		v.found.add(v.place, problem{
			message: "one table, but there may be several",
			legal:   "[[" + v.header() + "]] opens each of them",
		})
		return nil, false
	default:
		v.mismatch("a list of tables", "[["+v.header()+"]] opens each of them", "")
		return nil, false
	}
	if len(elements) == 0 {
		v.found.add(v.place, problem{message: "an empty list", legal: "[[" + v.header() + "]] opens each table"})
		return nil, false
	}
	for _, element := range v.elements(elements) {
		values, isTable := element.data.(map[string]any)
		if !isTable {
			element.mismatch("a table", "[["+v.header()+"]] opens each of them", "")
			return nil, false
		}
		tables = append(tables, element.table(values))
	}
	return tables, true
}

// oneOrMore returns the table called key, or the tables where it is a list of them.
func (t *table) oneOrMore(key string) []*table {
	data, present := t.values[key]
	switch data.(type) {
	case []any, []map[string]any:
		tables, _ := t.children(key)
		return tables
	}
	c, _, ok := t.child(key)
	if !present || !ok {
		return nil
	}
	return []*table{c}
}

// header is the TOML path of v without the indices: service.real.
func (v value) header() string {
	keys, block := v.path.keys, v.path.block
	if name, _, ok := strings.Cut(block, " "); ok {
		keys = name + "." + keys
	}
	for {
		before, after, ok := strings.Cut(keys, "[")
		if !ok {
			return keys
		}
		_, after, _ = strings.Cut(after, "]")
		keys = before + after
	}
}

func (v value) elements(data []any) []value {
	values := make([]value, len(data))
	for i, element := range data {
		e := v.entry.item(i)
		values[i] = value{
			place: place{src: v.src, offset: e.start, path: v.path.index(i), text: v.src.text[e.start:e.end]},
			found: v.found, entry: e, data: element,
		}
	}
	return values
}
