package metrics

import (
	"slices"

	"github.com/haldir-lb/haldir/internal/control"
)

// kind is the type of a metric.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// emit writes one sample: a suffix of the name, the value, and the values of the
// labels in their order.
type emit func(suffix string, value float64, labels ...string)

// family is one metric. This is the one place where names are.
type family struct {
	name    string
	kind    kind
	help    string
	labels  []string
	collect func(*control.Status, emit)
}

// families lists all, in the order in which they are written.
var families = slices.Concat(nodeFamilies, vrrpFamilies, serviceFamilies)

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(m control.Milliseconds) float64 { return m.Duration().Seconds() }
