package checker

import "github.com/haldir-lb/haldir/healthcheck"

// Kinds of messages between director and checker, with their bodies.
const (
	// KindTargets sets everything that is to be checked: Targets. Director to
	// checker.
	KindTargets = "targets"
	// KindVerdict tells the judgement of one target that says something new:
	// healthcheck.Verdict.
	KindVerdict = "verdict"
	// KindDigest tells of the others, once a second, that they were confirmed:
	// healthcheck.Digest. One that is lost costs nothing but a second of age.
	KindDigest = "digest"
	// KindVerdicts answers the hello of a director: Verdicts.
	KindVerdicts = "verdicts"
	// KindHistoryRequest asks for the recent results of some targets:
	// HistoryRequest. Director to checker.
	KindHistoryRequest = "history-request"
	// KindHistory answers it: History.
	KindHistory = "history"
)

// Targets is the whole set of targets.
type Targets struct {
	Targets []healthcheck.Target `json:"targets"`
	// Known has, by target, verdicts to go on from after a restart.
	Known map[string]healthcheck.Verdict `json:"known,omitempty"`
}

// Verdicts has all judgements by target.
type Verdicts struct {
	Verdicts map[string]healthcheck.Verdict `json:"verdicts"`
}

// HistoryRequest names the targets whose results are asked for.
type HistoryRequest struct {
	ID      uint64   `json:"id"` // of the request, comes back in the answer
	Targets []string `json:"targets"`
}

// History has the recent results by target, the newest last. They begin with the
// checker process.
type History struct {
	ID      uint64                          `json:"id"`
	Records map[string][]healthcheck.Record `json:"records"`
}
