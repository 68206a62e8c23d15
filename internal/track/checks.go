package track

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/haldir-lb/haldir/healthcheck"
)

// Types of checks besides those of healthcheck.
const (
	TypeProcess   = "process"
	TypeNeighbour = "arp"
	TypeNumber    = "number"
)

// Types returns what makes the checkers of this package from their options, for
// healthcheck.Runner.Extend.
func Types() map[string]func(healthcheck.Options) (healthcheck.Checker, error) {
	return map[string]func(healthcheck.Options) (healthcheck.Checker, error){
		TypeProcess:   build[Process],
		TypeNeighbour: build[Neighbour],
		TypeNumber:    build[Number],
	}
}

// spec is the options of one type.
type spec interface {
	checker() (healthcheck.Checker, error)
}

// Encode returns the text of options: a Process, Neighbour or Number.
func Encode(s spec) healthcheck.Options {
	text, err := json.Marshal(s)
	if err != nil {
		panic("encoding tracker options: " + err.Error()) // all of them are encodable
	}
	return healthcheck.Options(text)
}

func build[S spec](o healthcheck.Options) (healthcheck.Checker, error) {
	var s S
	d := json.NewDecoder(bytes.NewReader([]byte(o)))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the options: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the options: more than one value")
	}
	return s.checker()
}

// cannot is the result of a check that could not be made.
func cannot(err error) healthcheck.Result {
	return healthcheck.Result{Outcome: healthcheck.Inconclusive, Reason: healthcheck.ReasonCannot, Detail: err.Error()}
}
