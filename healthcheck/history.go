package healthcheck

import (
	"slices"
	"time"
)

const (
	// historyLimit bounds the records of one target, passLimit those of them that
	// are of passes, so that failures outlive successes.
	historyLimit = 16
	passLimit    = 4
	// outputLimit bounds what a record keeps of a script's output, in bytes.
	outputLimit = 1024
)

// Record is a run of results of one target that were alike: of one outcome and
// reason, under one status.
type Record struct {
	First time.Time `json:"first"` // when the first of them ended
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	// Passed and Failed say what they were; neither: a check that could not be made.
	Passed bool   `json:"passed,omitempty"`
	Failed bool   `json:"failed,omitempty"`
	Status Status `json:"status"` // after the first of them
	Reason Reason `json:"reason"`
	// Detail and Output are those of the last of them; Output is what a script
	// said.
	Detail  string `json:"detail,omitempty"`
	Output  string `json:"output,omitempty"`
	Warning bool   `json:"warning,omitempty"`
	// Longest is how long the longest of them took.
	Longest time.Duration `json:"longest"`
}

// history is the recent records of one target, the newest last.
type history []Record

// add remembers one more result.
func (h history) add(now time.Time, status Status, r Result, took time.Duration) history {
	next := Record{
		First: now, Last: now, Count: 1, Passed: r.Outcome == Pass, Failed: r.Outcome == Fail, Status: status,
		Reason: r.Reason, Detail: r.Detail, Output: r.Output, Warning: r.Warning, Longest: took,
	}
	if len(h) > 0 && h[len(h)-1].alike(next) {
		last := &h[len(h)-1]
		last.Last, last.Count = now, last.Count+1
		last.Detail, last.Output = next.Detail, next.Output
		last.Longest = max(last.Longest, took)
		return h
	}
	h = append(h, next)
	if len(h) > historyLimit || h.passes() > passLimit {
		return h.forget()
	}
	return h
}

func (r Record) plain() bool { return r.Passed && !r.Warning }

func (h history) passes() (n int) {
	for _, r := range h {
		if r.plain() {
			n++
		}
	}
	return n
}

// forget drops the oldest plain pass if there are others, or else the oldest
// record.
func (h history) forget() history {
	drop := 0
	if h.passes() > 1 {
		drop = slices.IndexFunc(h, Record.plain)
	}
	return slices.Delete(h, drop, drop+1)
}

func (r Record) alike(other Record) bool {
	return r.Passed == other.Passed && r.Failed == other.Failed && r.Status == other.Status &&
		r.Reason == other.Reason && r.Warning == other.Warning
}
