// Package metrics owns the names of the metrics and their text form: a pure
// function of a status. What a metric says is therefore what haldir status says,
// read from kernel and wire at the moment of the scrape.
package metrics

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/haldir-lb/haldir/internal/control"
)

// ContentType is that of what Write writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Write writes all metrics in the text format of Prometheus. What could not be
// read is left out, not zero.
func Write(w io.Writer, s *control.Status) error {
	out := bufio.NewWriter(w)
	for _, f := range families {
		headed := false
		emit := func(suffix string, value float64, labels ...string) {
			if !headed {
				headed = true
				out.WriteString("# HELP " + f.name + " " + f.help + "\n# TYPE " + f.name + " " + string(f.kind) + "\n")
			}
			sample(out, f.name+suffix, f.labels, labels, value)
		}
		f.collect(s, emit)
	}
	return out.Flush()
}

// sample writes one line. Values go with the names of their labels; more values
// than names are pairs of their own, as the buckets of a histogram have.
func sample(out *bufio.Writer, name string, names, values []string, value float64) {
	out.WriteString(name)
	between := byte('{')
	pair := func(name, value string) {
		out.WriteByte(between)
		between = ','
		out.WriteString(name + `="` + escape.Replace(value) + `"`)
	}
	for i, label := range names {
		pair(label, values[i])
	}
	for rest := values[len(names):]; len(rest) >= 2; rest = rest[2:] {
		pair(rest[0], rest[1])
	}
	if between == ',' {
		out.WriteByte('}')
	}
	out.WriteByte(' ')
	out.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	out.WriteByte('\n')
}

var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// Description is what is told of a metric.
type Description struct {
	Name, Kind, Help string
	Labels           []string
}

// Describe lists all metrics in the order in which they are written.
func Describe() []Description {
	var all []Description
	for _, f := range families {
		all = append(all, Description{f.name, string(f.kind), f.help, f.labels})
	}
	return all
}
