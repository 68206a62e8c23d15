package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
)

// Finding is one item as read back from the host.
type Finding struct {
	Item string `json:"item"` // "sysctl net/ipv4/conf/all/arp_ignore"
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
	// Remedy says what to do; empty where OK.
	Remedy string `json:"remedy,omitempty"`
	// Services are those that need the item; none for what should not be there.
	Services []string `json:"services,omitempty"`
}

const (
	reapply   = "haldir realserver apply"
	byUs      = "present, set by haldir"
	byOthers  = "present, set by somebody else"
	absent    = "absent"
	alone     = "this host alone"
	inForce   = "in force"
	asMaster  = "present, held by the director of this host"
	noGateway = "none"
)

// Verify reads every item of state back from the host, one Finding each, and
// adds one for each address that should not be there. The error is about what
// could not be read at all.
func (r *Runner) Verify(ctx context.Context, state State) ([]Finding, error) {
	findings, err := r.hostFindings(ctx, state)
	if err == nil {
		var claims []Finding
		claims, err = r.claimFindings(ctx, state.Own)
		findings = append(findings, claims...)
	}
	if err == nil {
		var replies []Finding
		replies, err = r.replyFindings(ctx, state.Replies)
		findings = append(findings, replies...)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying the real server: %w", err)
	}
	return findings, nil
}

// drift reads what Apply sets: all of it, or only what the kernel announces no
// change of.
func (r *Runner) drift(ctx context.Context, state State, full bool) ([]Finding, error) {
	if full {
		return r.hostFindings(ctx, state)
	}
	return r.silentFindings(ctx, state)
}

// silentFindings are about what changes without an event that is listened to.
func (r *Runner) silentFindings(ctx context.Context, state State) ([]Finding, error) {
	var all []Finding
	for _, s := range state.Sysctls {
		f, err := r.sysctlFinding(s)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	ports, err := r.portFindings(ctx, state)
	if err != nil {
		return nil, err
	}
	all = append(all, ports...)
	rules, err := r.ruleFindings(ctx, state, false)
	return append(all, rules...), err
}

// hostFindings are about all that Apply sets.
func (r *Runner) hostFindings(ctx context.Context, state State) ([]Finding, error) {
	all, err := r.silentFindings(ctx, state)
	if err != nil {
		return nil, err
	}
	links, err := r.linkFindings(ctx, state)
	if err != nil {
		return nil, err
	}
	present, err := r.Kernel.ReadAddresses(ctx)
	if err != nil {
		return nil, err
	}
	leftover, err := r.ruleFindings(ctx, state, true)
	if err != nil {
		return nil, err
	}
	return slices.Concat(all, links, leftover, addressFindings(state, present)), nil
}

func (r *Runner) sysctlFinding(s Sysctl) (Finding, error) {
	f := Finding{Item: "sysctl " + s.Path, Want: s.Value, Services: s.Services}
	if s.Also != "" {
		f.Want += " or " + s.Also
	}
	now, err := r.Kernel.ReadSysctl(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		now = absent
	case err != nil:
		return Finding{}, err
	}
	f.Got = now
	f.OK = now == s.Value || s.Also != "" && now == s.Also
	if !f.OK {
		f.Remedy = reapply
	}
	return f, nil
}

func addressFindings(state State, present []netif.PresentAddress) []Finding {
	wanted := state.Addresses
	var all []Finding
	vips := map[netip.Addr]bool{}
	for _, want := range wanted {
		vips[want.Prefix.Addr()] = true
		f := Finding{Item: "address " + want.Address.String(), Want: byUs, Got: absent, Remedy: reapply, Services: want.Services}
		i := slices.IndexFunc(present, func(p netif.PresentAddress) bool { return p.Address == want.Address })
		switch {
		case i >= 0 && present[i].Ours:
			f.Got, f.OK, f.Remedy = byUs, true, ""
		case i >= 0:
			f.Got, f.Remedy = byOthers, "find out who set it, then: "+deletion(want.Address)+" and "+reapply
		}
		all = append(all, f)
	}
	for _, p := range present {
		isWanted := slices.ContainsFunc(wanted, func(a Address) bool { return a.Address == p.Address })
		if isWanted || !p.Ours && !vips[p.Prefix.Addr()] {
			continue
		}
		f := Finding{Item: "address " + p.Address.String(), Want: absent, Got: byOthers}
		switch {
		case p.Ours:
			f.Got, f.Remedy = byUs, reapply
		case byDirector(p) && state.Directs:
			f.Want, f.Got, f.OK = absent+", or "+asMaster, asMaster, true
		case byDirector(p):
			f.Got, f.Remedy = byUs, "a director has left it behind, and the host answers for it: haldir cleanup"
		default:
			f.Remedy = "the host answers for the VIP in its director's place; find out who set it, then: " + deletion(p.Address)
		}
		all = append(all, f)
	}
	return all
}

func deletion(a netif.Address) string {
	return fmt.Sprintf("ip address del %s dev %s", a.Prefix, a.Interface)
}
