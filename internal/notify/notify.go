// Package notify tells programs and web services what became of a virtual router
// or a group. It owns the queues: for each of them one event at a time, of those
// that wait the latest alone, and the promise that the last state is delivered.
//
// Nobody waits for it: telling it something takes no longer than taking note of it.
package notify

import (
	"strings"
	"time"
)

// State is what a virtual router or group became.
type State string

// The states.
const (
	Master State = "master"
	Backup State = "backup"
	Fault  State = "fault" // it takes no part, for a reason that nobody wanted
	Stop   State = "stop"  // it takes no part any more, because somebody wanted it so
)

// Subject is what an event is about.
type Subject struct {
	Group bool
	Name  string
}

// String returns the name as it is kept on disk.
func (s Subject) String() string {
	if s.Group {
		return "group " + s.Name
	}
	return s.Name
}

// kind is the word of keepalived for it.
func (s Subject) kind() string {
	if s.Group {
		return "GROUP"
	}
	return "INSTANCE"
}

// Event is one change.
type Event struct {
	Subject  Subject
	Node     string
	Old      State // empty: not known, or none of the states
	State    State
	Priority uint8  // effective
	Reason   string // of the change, as in log and status
	Detail   string // the trackers that decide; empty: none does
	At       time.Time
}

// Hook is what is done on an event: a program, a web service, or both.
type Hook struct {
	// Command is a program's absolute path and its arguments; empty: none.
	Command []string
	// Words appends to the arguments what keepalived gives its notify script:
	// INSTANCE or GROUP, the name, the state in capitals, the priority.
	Words bool
	User  string // that the program runs as
	// URL gets the event as JSON; empty: none.
	URL string
	// Timeout bounds the program, which is then killed with all its children, and
	// each attempt to reach the URL.
	Timeout time.Duration
}

// Hooks are the hooks of one subject by state, in the order of their doing.
type Hooks map[State][]Hook

// arguments returns the command line of a hook.
func (h Hook) arguments(e Event) []string {
	words := append([]string(nil), h.Command...)
	if h.Words {
		words = append(words, e.words()...)
	}
	return words
}

func (e Event) words() []string {
	return []string{e.Subject.kind(), e.Subject.Name, strings.ToUpper(string(e.State)), itoa(e.Priority)}
}

// environment is what a program finds besides PATH.
func (e Event) environment() []string {
	w := e.words()
	return []string{
		"HALDIR_TYPE=" + w[0], "HALDIR_NAME=" + w[1], "HALDIR_STATE=" + w[2], "HALDIR_PRIORITY=" + w[3],
		"HALDIR_OLD_STATE=" + strings.ToUpper(string(e.Old)), "HALDIR_REASON=" + e.Reason, "HALDIR_DETAIL=" + e.Detail,
		"HALDIR_NODE=" + e.Node, "HALDIR_TIME=" + e.At.UTC().Format(time.RFC3339Nano),
	}
}

// Body is the JSON that a URL gets.
type Body struct {
	Version  int       `json:"version"` // 1
	Type     string    `json:"type"`    // instance or group
	Name     string    `json:"name"`
	Node     string    `json:"node"`
	Old      State     `json:"old_state,omitempty"`
	State    State     `json:"state"`
	Priority uint8     `json:"priority"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail,omitempty"`
	Time     time.Time `json:"time"`
}

func (e Event) body() Body {
	return Body{
		Version: 1, Type: strings.ToLower(e.Subject.kind()), Name: e.Subject.Name, Node: e.Node,
		Old: e.Old, State: e.State, Priority: e.Priority, Reason: e.Reason, Detail: e.Detail, Time: e.At.UTC(),
	}
}

// Report is the outcome of what was last done about a subject.
type Report struct {
	State State
	At    time.Time // when it began
	Took  time.Duration
	// Running is set while it goes on; Took has no meaning then.
	Running bool
	// Problem says what went wrong; empty: nothing.
	Problem string
	// Again is when it is tried again; zero: it is not.
	Again time.Time
}
