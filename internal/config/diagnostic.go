package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Diagnostic is one finding in a configuration, with what an operator needs to
// mend it. Only File and Message are always set.
type Diagnostic struct {
	File         string
	Line, Column int    // from 1, the column in characters; 0 is the file as a whole
	Path         string // the key with its block's name: service "web" real[1].address
	Value        string // as written, shortened
	Message      string // what is wrong
	Legal        string // what would be right
	Suggestion   string // what was probably meant

	file int // rank of File in the order of reading
}

// Error formats d on one line:
// "file:line:column: path = value: message (legal: …; did you mean …?)".
func (d Diagnostic) Error() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Column)
	}
	b.WriteString(": ")
	if d.Path != "" {
		b.WriteString(d.Path)
		if d.Value != "" {
			b.WriteString(" = " + d.Value)
		}
		b.WriteString(": ")
	}
	b.WriteString(d.Message)
	var hints []string
	if d.Legal != "" {
		hints = append(hints, "legal: "+d.Legal)
	}
	if d.Suggestion != "" {
		hints = append(hints, "did you mean "+d.Suggestion+"?")
	}
	if len(hints) > 0 {
		b.WriteString(" (" + strings.Join(hints, "; ") + ")")
	}
	return b.String()
}

// Diagnostics are all findings of one run, in the order of the files.
type Diagnostics []Diagnostic

// Error formats each finding on its own line.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As reach each finding.
func (ds Diagnostics) Unwrap() []error {
	errs := make([]error, len(ds))
	for i, d := range ds {
		errs[i] = d
	}
	return errs
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
