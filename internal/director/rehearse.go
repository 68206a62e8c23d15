package director

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/config"
)

// Candidate is a real server of one listener as one round of checks finds it.
type Candidate struct {
	Service string             `json:"service"`
	Listen  netip.AddrPort     `json:"listen"`
	Real    netip.AddrPort     `json:"real"`
	Health  healthcheck.Status `json:"health"` // empty where nothing is checked
	// Weight is what it would get once it is up, with the share that it asks for.
	Weight uint32           `json:"weight"`
	Checks []CandidateCheck `json:"checks"`
}

// In reports whether the real server would be in the pool.
func (c Candidate) In() bool { return c.Health == "" || c.Health == healthcheck.Up }

// CandidateCheck is one check of a Candidate.
type CandidateCheck struct {
	Target   string             `json:"target"`
	Health   healthcheck.Status `json:"health"`
	Reason   healthcheck.Reason `json:"reason"`
	Detail   string             `json:"detail,omitempty"`
	Warning  bool               `json:"warning,omitempty"`
	Duration time.Duration      `json:"duration_ns"`
}

// Here splits the targets of the services into those that any host can check by
// itself and those that only the directing node can, since they go through its
// IPVS.
func (p *Probes) Here() (here, elsewhere []healthcheck.Target) {
	for _, t := range p.targets {
		unnamed := t
		unnamed.ID = ""
		switch {
		case p.ids[unnamed] == "": // what a virtual router tracks
		case t.Mark != 0:
			elsewhere = append(elsewhere, t)
		default:
			here = append(here, t)
		}
	}
	return here, elsewhere
}

// FirstVerdict is what is believed of a target after its first check, where one
// result counts.
func FirstVerdict(t healthcheck.Target, r healthcheck.Result, took time.Duration) healthcheck.Verdict {
	v := healthcheck.Verdict{
		ID: t.ID, Status: healthcheck.Unknown, Reason: r.Reason, Detail: r.Detail, Duration: took, Warning: r.Warning, Share: r.Share,
	}
	switch r.Outcome {
	case healthcheck.Pass:
		v.Status = healthcheck.Up
	case healthcheck.Fail:
		v.Status = healthcheck.Down
	}
	return v
}

// Rehearse says who would be in the pools by the given verdicts, in the order of
// the configuration.
func Rehearse(cfg *config.Config, p *Probes, health map[string]healthcheck.Verdict) []Candidate {
	var out []Candidate
	for _, s := range cfg.Services {
		for _, listen := range s.Listen {
			at := s.At(listen)
			for _, real := range at.Real {
				key := destKey(real, listen)
				c := Candidate{
					Service: s.Name, Listen: listen, Real: netip.AddrPortFrom(key.Address, key.Port), Weight: real.Weight, Checks: []CandidateCheck{},
				}
				targets := p.of(at, real, listen)
				if len(targets) > 0 {
					verdict := judge(at, targets, health)
					c.Health = cmp.Or(verdict.Status, healthcheck.Unknown)
					c.Weight = verdict.Share.Of(real.Weight)
				}
				for _, t := range targets {
					v := health[t.ID]
					c.Checks = append(c.Checks, CandidateCheck{
						Target: t.ID, Health: cmp.Or(v.Status, healthcheck.Unknown), Reason: v.Reason, Detail: v.Detail, Warning: v.Warning, Duration: v.Duration,
					})
				}
				out = append(out, c)
			}
		}
	}
	return slices.Clip(out)
}
