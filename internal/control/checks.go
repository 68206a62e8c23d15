package control

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// CheckStatus is what one check says of a real server.
type CheckStatus struct {
	// Target names what is looked at. Services that look at the same thing in the
	// same way share it.
	Target string `json:"target"`
	Health string `json:"health"`
	// Stale is set while no checker has confirmed the judgement.
	Stale bool `json:"stale,omitempty"`
	// Since is when the health became so.
	Since time.Time `json:"since,omitzero"`
	// Checked is how long ago the last check ended; absent before the first.
	Checked *Milliseconds `json:"checked_ms_ago,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	// Duration is how long the last check took.
	Duration Milliseconds `json:"duration_ms,omitempty"`
	Warning  bool         `json:"warning,omitempty"`
	// Rising and Falling count the consecutive successes or failures towards
	// another health.
	Rising  int `json:"rising,omitempty"`
	Falling int `json:"falling,omitempty"`
	// Flapping is how many successes bring the server back, where these are more
	// than configured, because it keeps falling.
	Flapping int `json:"flapping_rise,omitempty"`
	// Share is the percentage of its weight that the server asked for; absent if
	// it asked for nothing.
	Share *int `json:"share_percent,omitempty"`
}

// ChecksReport tells all about the checks of one real server.
type ChecksReport struct {
	At     time.Time     `json:"at"`
	Checks []CheckReport `json:"checks"`
	// Unknown says why there is no history, if there is none.
	Unknown string `json:"unknown,omitempty"`
}

// CheckReport is one check with its recent results.
type CheckReport struct {
	CheckStatus
	// Services are those that are judged by it.
	Services []string `json:"services"`
	// History has the recent results since the checker process began, the newest
	// last. Failures stay in it longer than successes.
	History []CheckRecord `json:"history"`
}

// CheckRecord is a run of results that were alike.
type CheckRecord struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	// Outcome is passed, failed, or could not be made.
	Outcome string `json:"outcome"`
	// Health is what was believed after the first of them.
	Health  string       `json:"health"`
	Reason  string       `json:"reason"`
	Detail  string       `json:"detail,omitempty"` // of the last of them
	Output  string       `json:"output,omitempty"` // what a script said, the same
	Warning bool         `json:"warning,omitempty"`
	Longest Milliseconds `json:"longest_ms"`
}

// Checks asks for the checks of a real server, an address with or without a port.
func (c *Client) Checks(ctx context.Context, real string) (ChecksReport, error) {
	var r ChecksReport
	return r, c.do(ctx, http.MethodGet, "checks?"+url.Values{"real": {real}}.Encode(), nil, &r)
}
