package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says how bad a finding is.
type Severity string

// The severities, the worst first.
const (
	Fault   Severity = "fault"   // something does not work, or will not after a failover
	Warning Severity = "warning" // it works as long as nothing else happens
	Note    Severity = "note"    // worth knowing
)

var ranks = map[Severity]int{Fault: 0, Warning: 1, Note: 2}

// Finding is one mistake that was found.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Title says what is wrong, on one line.
	Title string `json:"title"`
	// Evidence is what was read, and where.
	Evidence    string `json:"evidence"`
	Consequence string `json:"consequence"`
	Remedy      string `json:"remedy"`
}

// Kind is a sort of finding, as docs/doctor.md lists them.
type Kind struct {
	ID       string
	Severity Severity
	// Consequence is what it leads to, the same for all findings of the kind.
	Consequence string
}

// Kinds returns every kind of finding, in the order of the examination.
func Kinds() []Kind {
	return slices.Concat(addressKinds, arpKinds, forwardingKinds, pathKinds, reachKinds, kernelKinds, firewallKinds, segmentKinds, machineKinds, tunnelKinds, markKinds, continuityKinds, peerKinds)
}

// kindOf returns the kind with this id, which has to exist.
func kindOf(id string) Kind {
	for _, k := range Kinds() {
		if k.ID == id {
			return k
		}
	}
	panic("doctor: no kind of finding " + id)
}

// Examine looks for every kind of mistake. The worst findings come first.
func Examine(in Input) []Finding {
	p := newPatient(in)
	p.addresses()
	p.arp()
	p.forwarding()
	p.paths()
	p.reach()
	p.kernel()
	p.firewall()
	p.segment()
	p.machine()
	p.tunnels()
	p.marks()
	p.continuity()
	p.peers()
	slices.SortStableFunc(p.findings, func(a, b Finding) int {
		return cmp.Compare(ranks[a.Severity], ranks[b.Severity])
	})
	return p.findings
}

// found adds a finding of a kind.
func (p *patient) found(id, evidence, remedy, title string, args ...any) {
	k := kindOf(id)
	p.findings = append(p.findings, Finding{
		ID: k.ID, Severity: k.Severity, Title: fmt.Sprintf(title, args...),
		Evidence: evidence, Consequence: k.Consequence, Remedy: remedy,
	})
}
