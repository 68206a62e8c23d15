package healthcheck

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Options is what a target asks of its checker: the JSON of the Spec of its
// type, made by Encode. Empty is the Spec's zero value. It is text so that a
// Target is comparable and travels between processes as it is.
type Options string

// Spec is the options of one type of check: TCP, HTTP and so on. The zero value
// of each is valid unless its fields say otherwise.
type Spec interface {
	// checker makes what checks by these options, or returns an error that names
	// the option that is wrong. The Checker may be used by many targets at a time.
	checker() (Checker, error)
}

// Encode returns the one text of s.
func Encode(s Spec) Options {
	text, err := json.Marshal(s)
	if err != nil {
		panic("encoding check options: " + err.Error()) // all Specs are encodable
	}
	if string(text) == "{}" {
		return ""
	}
	return Options(text)
}

// Validate returns what is wrong with o as the options of a type, if anything.
func (o Options) Validate(kind string) error {
	_, err := newChecker(kind, o)
	return err
}

// Keys returns o as a table of keys with their values: text, json.Number, bool,
// lists and tables of these.
func (o Options) Keys() (map[string]any, error) {
	keys := make(map[string]any)
	if o == "" {
		return keys, nil
	}
	d := json.NewDecoder(strings.NewReader(string(o)))
	d.UseNumber()
	if err := d.Decode(&keys); err != nil {
		return nil, fmt.Errorf("reading %q: %w", shorten(string(o)), err)
	}
	return keys, nil
}

// decode reads o into spec. What spec does not know is an error.
func (o Options) decode(spec any) error {
	if o == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(o)))
	d.DisallowUnknownFields()
	if err := d.Decode(spec); err != nil {
		return fmt.Errorf("reading %q: %w", shorten(string(o)), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %q: more than one value", shorten(string(o)))
	}
	return nil
}

// Hex is bytes, written in hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Span is a duration, written with its unit: "336h".
type Span time.Duration

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}
