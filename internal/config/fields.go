package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// isTemplate reports whether text is a go-sockaddr template.
func isTemplate(text string) bool { return strings.Contains(text, "{{") }

// str reads a string that may not be a template.
func (t *table) str(key, legal string) field[string] {
	f := t.templated(key, legal)
	t.refuseTemplate(&f)
	return f
}

func (t *table) refuseTemplate(f *field[string]) {
	if f.good && isTemplate(f.value) {
		f.good = false
		t.found.add(f.place, problem{
			message: "a template is not allowed here",
			legal:   "templates only in interface, addresses, listen and address",
		})
	}
}

// hidden stands in messages for what nobody is to read there.
const hidden = "***"

// secret reads a string that no message shows. It is never a template.
func (t *table) secret(key, legal string) field[string] {
	v, ok := t.get(key)
	if !ok {
		return field[string]{place: v.place}
	}
	v.text = hidden
	return v.str(legal)
}

// templated reads a string that may be a template.
func (t *table) templated(key, legal string) field[string] {
	v, ok := t.get(key)
	if !ok {
		return field[string]{place: v.place}
	}
	return v.str(legal)
}

func (v value) str(legal string) field[string] {
	f := field[string]{place: v.place, set: true}
	if f.value, f.good = v.data.(string); !f.good {
		v.mismatch("a string", legal, "")
	}
	f.value = strings.Clone(f.value) // what the library yields keeps the whole text in memory
	return f
}

// name reads the name of a block or a node.
func (t *table) name(key string) field[string] {
	f := t.str(key, nameLegal)
	if f.good && !isName(f.value) {
		f.good = false
		t.found.add(f.place, problem{message: "not a name", legal: nameLegal})
	}
	return f
}

const nameLegal = "1 to 63 letters, digits, '.', '_', '-', beginning with a letter or digit"

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isBare(c) && c != '.' || i == 0 && (c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 63
}

// choice reads one of a few words.
func (t *table) choice(key string, words []string) field[string] {
	f := t.str(key, list(words))
	i := slices.Index(words, f.value)
	if f.good && i >= 0 {
		f.value = words[i] // one in memory for all
	}
	if f.good && i < 0 {
		f.good = false
		what := problem{message: "unknown " + key, legal: list(words)}
		if near := nearest(f.value, words); near != "" {
			what.suggestion = strconv.Quote(near)
		}
		t.found.add(f.place, what)
	}
	return f
}

func (t *table) truth(key string) field[bool] {
	v, ok := t.get(key)
	f := field[bool]{place: v.place, set: ok}
	if !ok {
		return f
	}
	if f.value, f.good = v.data.(bool); !f.good {
		suggestion := ""
		if text, isText := v.data.(string); isText {
			suggestion = nearest(text, []string{"true", "false"})
		}
		v.mismatch("a truth value", "true, false", suggestion)
	}
	return f
}

// number reads a whole number between low and high.
func (t *table) number(key string, low, high int64) field[int64] {
	v, ok := t.get(key)
	if !ok {
		return field[int64]{place: v.place}
	}
	return v.number(low, high)
}

func (v value) number(low, high int64) field[int64] {
	f := field[int64]{place: v.place, set: true}
	legal := fmt.Sprintf("%d to %d", low, high)
	n, ok := v.data.(int64)
	switch {
	case !ok:
		suggestion := ""
		if text, isText := v.data.(string); isText {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && low <= n && n <= high {
				suggestion = strconv.FormatInt(n, 10)
			}
		}
		v.mismatch("a whole number", legal, suggestion)
	case n < low || n > high:
		v.found.add(v.place, problem{message: "out of range", legal: legal})
	default:
		f.value, f.good = n, true
	}
	return f
}

// span is the legal range of a duration.
type span struct {
	low, high time.Duration
	step      time.Duration // 0 is any
	zero      string        // what "0s" means besides the range; empty: it is not legal
	with      string        // the setting that makes this the range; empty: none
}

func (s span) legal() string {
	text := fmt.Sprintf("a duration from %q to %q", plain(s.low), plain(s.high))
	if s.low == 0 && s.zero == "" {
		text = fmt.Sprintf("a duration up to %q", plain(s.high))
	}
	if s.step > 0 {
		text += fmt.Sprintf(" in steps of %q", plain(s.step))
	}
	if s.with != "" {
		text += " with " + s.with
	}
	if s.zero != "" {
		text += fmt.Sprintf(", or %q: %s", "0s", s.zero)
	}
	return text
}

func (s span) contains(d time.Duration) bool {
	if d == 0 && s.zero != "" {
		return true
	}
	return s.low <= d && d <= s.high && (s.step == 0 || d%s.step == 0)
}

// duration reads a string such as "100ms" within s.
func (t *table) duration(key string, s span) field[time.Duration] {
	v, ok := t.get(key)
	f := field[time.Duration]{place: v.place, set: ok}
	if !ok {
		return f
	}
	var what problem
	switch data := v.data.(type) {
	case string:
		f.value, what = parseDuration(data, s)
	case int64:
		what = problem{"a number without a unit, where a duration belongs", s.legal(), withUnit(v.text, s)}
	case float64:
		what = problem{"a number without a unit, where a duration belongs", s.legal(), withUnit(v.text, s)}
	default:
		what = problem{typeName(data) + ", where a duration belongs", s.legal(), ""}
	}
	if what.message != "" {
		t.found.add(f.place, what)
		return f
	}
	f.good = true
	return f
}

func parseDuration(text string, s span) (time.Duration, problem) {
	d, err := time.ParseDuration(text)
	switch {
	case err == nil && s.contains(d):
		return d, problem{}
	case err == nil && d < 0:
		return 0, problem{"a duration cannot be negative", s.legal(), ""}
	case err == nil && s.step > 0 && s.low <= d && d <= s.high:
		nearby := min(max(d.Round(s.step), s.low), s.high)
		return 0, problem{fmt.Sprintf("not a multiple of %s", plain(s.step)), s.legal(), strconv.Quote(plain(nearby))}
	case err == nil:
		return 0, problem{"out of range", s.legal(), ""}
	}
	what := problem{"not a duration", s.legal(), ""}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		what.message, what.suggestion = "a number without a unit, where a duration belongs", withUnit(text, s)
		return 0, what
	}
	compact := strings.ToLower(strings.Join(strings.Fields(text), ""))
	if d, err := time.ParseDuration(compact); err == nil && s.contains(d) {
		what.suggestion = strconv.Quote(compact)
	}
	return 0, what
}

// withUnit guesses the unit of a bare number: the first that makes it legal.
func withUnit(number string, s span) string {
	for _, unit := range []string{"s", "ms"} {
		if d, err := time.ParseDuration(number + unit); err == nil && d > 0 && s.contains(d) {
			return strconv.Quote(number + unit)
		}
	}
	return ""
}

// strings reads a list of at least one string, each possibly a template.
func (t *table) strings(key, legal string) (fields []field[string], good bool) {
	v, ok := t.get(key)
	if !ok {
		return nil, false
	}
	data, ok := v.data.([]any)
	if !ok {
		suggestion := ""
		if _, isText := v.data.(string); isText {
			suggestion = "[" + v.text + "]"
		}
		v.mismatch("a list", "a list of "+legal, suggestion)
		return nil, false
	}
	if len(data) == 0 {
		t.found.add(v.place, problem{message: "an empty list", legal: "at least one of: " + legal})
		return nil, false
	}
	good = true
	for _, element := range v.elements(data) {
		f := element.str(legal)
		good = good && f.good
		fields = append(fields, f)
	}
	return fields, good
}
