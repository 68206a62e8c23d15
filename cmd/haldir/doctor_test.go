package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/doctor"
	"github.com/haldir-lb/haldir/internal/facts"
)

func TestRenderExamination(t *testing.T) {
	ill := examination{
		Node: "rs1", Roles: []string{"real server of web"},
		Findings: []doctor.Finding{
			{ID: "vip-mask", Severity: doctor.Fault, Title: "it is wide", Evidence: "seen", Consequence: "bad", Remedy: "narrow it"},
			{ID: "arp-flux", Severity: doctor.Warning, Title: "it flaps", Evidence: "seen", Consequence: "bad", Remedy: "one"},
		},
		Unknown: []facts.Unknown{{What: "the firewall", Reason: "no privilege"}},
	}
	want := `rs1  real server of web

FAULT    vip-mask: it is wide
         evidence     seen
         consequence  bad
         remedy       narrow it

warning  arp-flux: it flaps
         evidence     seen
         consequence  bad
         remedy       one

unknown  the firewall: no privilege
1 fault
`
	if d := cmp.Diff(want, renderExamination(ill, palette(false))); d != "" {
		t.Errorf("output (-want +got):\n%s", d)
	}
	well := renderExamination(examination{Node: "desk"}, palette(false))
	if !strings.Contains(well, "no director or real server") || !strings.HasSuffix(well, "\nno faults\n") {
		t.Errorf("output of a healthy host:\n%s", well)
	}
}
