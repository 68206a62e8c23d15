package config

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/haldir-lb/haldir/healthcheck"
)

// text reads a string that is taken as it is, whatever it holds.
func (t *table) text(key, legal string) field[string] { return t.templated(key, legal) }

// bytes reads the string called key, or the bytes of key_hex. One of the two may
// be there.
func (t *table) bytes(key string) field[healthcheck.Hex] {
	const legal = "text; bytes that are no text go into the key that ends in _hex"
	text := t.text(key, legal)
	digits := t.str(key+"_hex", "pairs of hexadecimal digits")
	f := field[healthcheck.Hex]{place: text.place, set: text.set || digits.set}
	switch {
	case text.set && digits.set:
		t.found.add(digits.place, problem{message: "the same as " + key + " says already, in another form", legal: key + " or " + key + "_hex"})
	case digits.good:
		f.place = digits.place
		raw, err := hex.DecodeString(strings.Join(strings.Fields(digits.value), ""))
		if err != nil || len(raw) == 0 {
			t.found.add(digits.place, problem{message: "not hexadecimal", legal: `pairs of hexadecimal digits, such as "0d0a"`})
			return f
		}
		f.value, f.good = raw, true
	case text.good && text.value == "":
		t.found.add(text.place, problem{message: "empty", legal: "at least one character"})
	case text.good:
		f.value, f.good = healthcheck.Hex(text.value), true
	}
	return f
}

// words reads a table whose keys are any words and whose values are strings.
// wrong says what is wrong with one of them, or returns "".
func (t *table) words(key string, wrong func(name, value string) string) map[string]string {
	c, present, ok := t.child(key)
	if !present || !ok {
		return nil
	}
	words := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		f := c.text(name, "a string")
		if !f.good {
			continue
		}
		if message := wrong(name, f.value); message != "" {
			t.found.add(f.place, problem{message: message})
			continue
		}
		words[name] = f.value
	}
	return words
}

// readJSONFields reads the fields that a JSON document is to have, by their paths.
func readJSONFields(t *table, method string) map[string]any {
	c, present, ok := t.child("json")
	if !present || !ok {
		return nil
	}
	const legal = "a string, a number or a truth value"
	if method == "HEAD" {
		t.found.add(c.place, problem{message: "an answer to HEAD has no body"})
		return nil
	}
	fields := make(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(c.values)) {
		v, _ := c.get(path)
		if err := healthcheck.ValidJSONPath(path); err != nil {
			t.found.add(v.place, problem{message: err.Error(), legal: "names of fields and indices, with dots between them"})
			continue
		}
		switch data := v.data.(type) {
		case int64:
			fields[path] = float64(data)
		case string, bool, float64:
			fields[path] = data
		default:
			v.mismatch("the value of a field", legal, "")
		}
	}
	return fields
}

// statuses reads a list of HTTP status codes and ranges of them.
func (t *table) statuses(key string) (ranges []healthcheck.StatusRange, good bool) {
	const legal = `codes from 100 to 599 such as 200, ranges of them such as "200-299"`
	v, ok := t.get(key)
	if !ok {
		return nil, false
	}
	data, ok := v.data.([]any)
	switch {
	case !ok:
		v.mismatch("a list", legal, "["+v.text+"]")
		return nil, false
	case len(data) == 0:
		t.found.add(v.place, problem{message: "an empty list", legal: legal})
		return nil, false
	}
	for _, element := range v.elements(data) {
		var text string
		switch data := element.data.(type) {
		case string:
			text = data
		case int64:
			text = strconv.FormatInt(data, 10)
		default:
			element.mismatch("a status", legal, "")
			return nil, false
		}
		var r healthcheck.StatusRange
		if err := r.UnmarshalText([]byte(text)); err != nil {
			t.found.add(element.place, problem{message: err.Error(), legal: legal})
			return nil, false
		}
		ranges = append(ranges, r)
	}
	slices.SortFunc(ranges, healthcheck.StatusRange.Compare)
	return slices.Compact(ranges), true
}

const hostNameLegal = "a host name of up to 253 letters, digits, '.', '_', '-'"

// hostName reads the name of a host.
func (t *table) hostName(key string) field[string] {
	f := t.str(key, hostNameLegal)
	bad := strings.ContainsFunc(f.value, func(r rune) bool { return r > 0x7f || !isBare(byte(r)) && r != '.' })
	if f.good && (bad || f.value == "" || len(f.value) > 253) {
		f.good = false
		t.found.add(f.place, problem{message: "not a host name", legal: hostNameLegal})
	}
	return f
}
