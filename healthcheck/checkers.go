package healthcheck

import (
	"fmt"
	"maps"
	"slices"
)

// kinds has, for every target type, what makes its checker from the options. It
// is never written to.
var kinds = map[string]func(Options) (Checker, error){
	"agent":      kind[Agent],
	"dns":        kind[DNS],
	"exec":       kind[Exec],
	"file":       kind[File],
	"grpc":       kind[GRPC],
	"grpcs":      kind[GRPCS],
	"http":       kind[HTTP],
	"https":      kind[HTTPS],
	"mysql":      kind[MySQL],
	"ping":       kind[Ping],
	"postgresql": kind[PostgreSQL],
	"redis":      kind[Redis],
	"smtp":       kind[SMTP],
	"tcp":        kind[TCP],
	"tls":        kind[TLSHandshake],
	"udp":        kind[UDP],
}

// Types returns the legal values of Target.Type, sorted.
func Types() []string { return slices.Sorted(maps.Keys(kinds)) }

// MarkedTypes returns the types that may have a Mark.
func MarkedTypes() []string {
	return []string{"dns", "grpc", "grpcs", "http", "https", "mysql", "postgresql", "redis", "smtp", "tcp", "tls", "udp"}
}

// kind makes a checker from the options of a type whose Spec is S.
func kind[S Spec](o Options) (Checker, error) {
	var spec S
	if err := o.decode(&spec); err != nil {
		return nil, err
	}
	return spec.checker()
}

// checkerKey is all that a Checker depends on.
type checkerKey struct {
	kind    string
	options Options
}

// checkerCache makes checkers. Targets that are checked the same way share one,
// so that what is compiled once for a service costs nothing for each server.
type checkerCache map[checkerKey]Checker

// prepare returns the checker of t, or an error that names what is wrong with t.
func (c checkerCache) prepare(t Target) (Checker, error) {
	if err := t.validateTiming(); err != nil {
		return nil, err
	}
	key := checkerKey{t.Type, t.Options}
	made := c[key]
	if made == nil {
		var err error
		if made, err = newChecker(t.Type, t.Options); err != nil {
			return nil, err
		}
		c[key] = made
	}
	if t.Mark != 0 {
		return throughVIP(made), nil
	}
	return made, nil
}

// keep forgets the checkers that none of targets has.
func (c checkerCache) keep(targets []Target) {
	used := make(map[checkerKey]bool)
	for _, t := range targets {
		used[checkerKey{t.Type, t.Options}] = true
	}
	maps.DeleteFunc(c, func(key checkerKey, _ Checker) bool { return !used[key] })
}

func newChecker(name string, o Options) (Checker, error) {
	build := kinds[name]
	if build == nil {
		return nil, fmt.Errorf("type %q: unknown (legal: %v)", name, Types())
	}
	made, err := build(o)
	if err != nil {
		return nil, fmt.Errorf("options of type %q: %w", name, err)
	}
	return made, nil
}
