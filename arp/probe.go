package arp

import (
	"bytes"
	"net"
	"slices"
	"time"
)

// Answer is one station that says it has the address asked for.
type Answer struct {
	MAC   net.HardwareAddr
	After time.Duration // since the first probe was sent
}

const (
	// probes is how often Probe asks, for a frame may be lost (PROBE_NUM in
	// RFC 5227 section 1.1).
	probes = 3
	// maxAnswers bounds what a hostile segment can make Probe remember.
	maxAnswers = 256
)

// collect adds a station that is not yet among the answers.
func collect(answers []Answer, mac net.HardwareAddr, after time.Duration) []Answer {
	known := slices.ContainsFunc(answers, func(a Answer) bool { return bytes.Equal(a.MAC, mac) })
	if known || len(answers) == maxAnswers {
		return answers
	}
	return append(answers, Answer{MAC: mac, After: after})
}
