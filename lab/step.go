package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
)

// Step is one thing that happens to a running lab, and for how long the client
// is watched afterwards.
type Step struct {
	// Do is what is done, one of the verbs.
	Do string `toml:"do"`
	// Node is where; the verbs that concern the whole cluster have none.
	Node string `toml:"node"`
	// Process is which process of a director is killed, paused or resumed.
	Process string `toml:"process"`
	// For is how long the client is watched before the next step: 0..10m, 3s by
	// default.
	For *Duration `toml:"for"`
}

// span is For or its default.
func (s Step) span() time.Duration {
	if s.For == nil {
		return stepTime
	}
	return s.For.D()
}

// stepTime is For where a step does not say.
const stepTime = 3 * time.Second

// maxStepTime bounds For.
const maxStepTime = 10 * time.Minute

// String names the step for people.
func (s Step) String() string {
	words := []string{s.Do}
	if s.Process != "" {
		words = append(words, "the "+s.Process+" of")
	}
	if s.Node != "" {
		words = append(words, s.Node)
	}
	return strings.Join(words, " ")
}

// What the target of a verb is.
type target uint8

const (
	onCluster target = iota
	onProcess
	onDirector
	onReal
	onMachine // a director or a real server
)

// verbs are all that can be done, with what they are done to.
var verbs = map[string]target{
	"wait":      onCluster,
	"partition": onCluster, // the directors from one another
	"heal":      onCluster,
	"kill":      onProcess,
	"pause":     onProcess, // SIGSTOP
	"resume":    onProcess,
	"stop":      onDirector, // SIGTERM: a planned hand-over
	"start":     onDirector,
	"crash":     onDirector, // all processes killed, the cable dead
	"reboot":    onDirector,
	"cut":       onMachine, // the cable unplugged: both ends see it
	"silence":   onMachine, // the cable dead, and nobody sees it
	"restore":   onMachine, // the end of cut and silence
	"close":     onReal,    // the server program ends: connections are refused
	"open":      onReal,
}

var roles = []string{string(process.Supervisor), string(process.Speaker), string(process.Director), string(process.Checker)}

// validate reports what is wrong with a step of a lab.
func (s Step) validate(spec Spec, number int) []error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("step %d (%s): %s", number, s, fmt.Sprintf(format, args...)))
	}
	if s.span() < 0 || s.span() > maxStepTime {
		bad("for = %v: legal is 0s to %v", s.span(), maxStepTime)
	}
	to, known := verbs[s.Do]
	if !known {
		bad("do = %q: legal is %s", s.Do, strings.Join(sortedVerbs(), ", "))
		return errs
	}
	directors, reals := spec.nodeNames(KindDirector), spec.nodeNames(KindReal)
	legal := map[target][]string{
		onProcess: directors, onDirector: directors, onReal: reals, onMachine: append(slices.Clone(directors), reals...),
	}[to]
	switch {
	case to == onCluster && s.Node != "":
		bad("node = %q: %s concerns the whole cluster", s.Node, s.Do)
	case to != onCluster && !slices.Contains(legal, s.Node):
		bad("node = %q: legal is %s", s.Node, strings.Join(legal, ", "))
	}
	switch {
	case to == onProcess && !slices.Contains(roles, s.Process):
		bad("process = %q: legal is %s", s.Process, strings.Join(roles, ", "))
	case to != onProcess && s.Process != "":
		bad("process = %q: %s is not done to a process", s.Process, s.Do)
	}
	return errs
}

func sortedVerbs() []string {
	names := make([]string, 0, len(verbs))
	for name := range verbs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nodeNames lists the nodes of a kind, in order.
func (s Spec) nodeNames(kind Kind) []string {
	var names []string
	for _, p := range s.layout() {
		if p.kind == kind {
			names = append(names, p.name)
		}
	}
	return names
}
