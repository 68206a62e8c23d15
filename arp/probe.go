package arp

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Question is what Ask asks.
type Question struct {
	Interface string
	Address   netip.Addr
	Wait      time.Duration // for answers, more than 0
	Count     int           // of probes, spread over Wait; 0 is 3
	// From is an address of this host to ask from, for stations that do not answer
	// probes from nowhere. Neighbours then learn, or refresh, where this host is,
	// which is true. The zero value is none.
	From netip.Addr
}

// Answer is one station that says it has the address asked for.
type Answer struct {
	MAC   net.HardwareAddr
	After time.Duration // since the first probe was sent
}

const (
	// probes is how often Ask asks unless told otherwise, for a frame may be lost (PROBE_NUM in
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
