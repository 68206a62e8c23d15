package realserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
)

// ruleSet is one sort of packet rules: what is wanted, and how the kernel's are
// read and set.
type ruleSet[T netif.Rule[T]] struct {
	noun, plural string
	table        string // as nft names it
	want         []T
	services     [][]string // of each
	read         func(context.Context) (netif.Rules[T], error)
	set          func(context.Context, []T) error
}

func (r *Runner) redirectRules(state State) ruleSet[netif.Redirect] {
	s := ruleSet[netif.Redirect]{noun: "redirect", plural: "redirects", table: "inet " + netif.RedirectTable,
		read: r.Kernel.ReadRedirects, set: r.Kernel.SetRedirects}
	for _, w := range state.Redirects {
		s.want, s.services = append(s.want, w.Redirect), append(s.services, w.Services)
	}
	return s
}

func (r *Runner) clampRules(state State) ruleSet[netif.Clamp] {
	s := ruleSet[netif.Clamp]{noun: "clamp of TCP segments for", plural: "clamps", table: "inet " + netif.ClampTable,
		read: r.Kernel.ReadClamps, set: r.Kernel.SetClamps}
	for _, w := range state.Clamps {
		s.want, s.services = append(s.want, w.Clamp), append(s.services, w.Services)
	}
	return s
}

func (r *Runner) silenceRules(state State) ruleSet[netif.Silence] {
	s := ruleSet[netif.Silence]{noun: "ARP silence", plural: "silences", table: "arp " + netif.SilenceTable,
		read: r.Kernel.ReadSilences, set: r.Kernel.SetSilences}
	for _, w := range state.Silences {
		s.want, s.services = append(s.want, w.Silence), append(s.services, w.Services)
	}
	return s
}

// apply makes the kernel's rules the wanted ones.
func (s ruleSet[T]) apply(ctx context.Context, r *Runner) error {
	now, err := s.read(ctx)
	if err != nil || now.Are(s.want) {
		return err
	}
	if err := s.set(ctx, s.want); err != nil {
		return err
	}
	r.Log.Info(s.plural+" set", "from", len(now.Rules), "to", len(s.want))
	return nil
}

// findings are one for each rule, and one for the table if something else is
// there, or nothing should be.
func (s ruleSet[T]) findings(ctx context.Context) ([]Finding, error) {
	now, err := s.read(ctx)
	if errors.Is(err, fs.ErrPermission) && len(s.want) == 0 {
		return nil, nil // nothing is wanted, and reading it takes privilege
	}
	if err != nil {
		return nil, err
	}
	var all []Finding
	for i, want := range s.want {
		f := Finding{Item: s.noun + " " + want.String(), Want: inForce, Got: inForce, OK: true, Services: s.services[i]}
		if !slices.Contains(now.Rules, want) {
			f.Got, f.OK, f.Remedy = absent, false, reapply
		}
		all = append(all, f)
	}
	for _, rule := range now.Rules {
		if !slices.Contains(s.want, rule) {
			all = append(all, Finding{Item: s.noun + " " + rule.String(), Want: absent, Got: inForce, Remedy: reapply})
		}
	}
	if now.Strange > 0 || now.Present && len(s.want) == 0 && len(now.Rules) == 0 {
		all = append(all, Finding{Item: "nftables table " + s.table, Want: s.plural + " alone",
			Got: fmt.Sprintf("%d other things in it", now.Strange), Remedy: reapply})
	}
	return all, nil
}

func (r *Runner) setRedirects(ctx context.Context, state State) error {
	return r.redirectRules(state).apply(ctx, r)
}

func (r *Runner) setClamps(ctx context.Context, state State) error {
	return r.clampRules(state).apply(ctx, r)
}

// setSilences goes without where the kernel has no rules for ARP: they are the
// second lock, behind the sysctls. While addresses are about to go, what is in
// force stays so.
func (r *Runner) setSilences(ctx context.Context, state State, stay bool) error {
	rules := r.silenceRules(state)
	if stay {
		now, err := rules.read(ctx)
		if err != nil {
			return err
		}
		rules.want = append(rules.want, now.Rules...)
	}
	err := rules.apply(ctx, r)
	if errors.Is(err, errors.ErrUnsupported) {
		r.Log.Info("arp_ignore and arp_announce alone keep the host silent", "error", err)
		return nil
	}
	return err
}

// anyRules reports whether a table of ours is there.
func (r *Runner) anyRules(ctx context.Context) (bool, error) {
	redirects, err := r.Kernel.ReadRedirects(ctx)
	clamps, err2 := r.Kernel.ReadClamps(ctx)
	silences, err3 := r.Kernel.ReadSilences(ctx)
	return redirects.Present || clamps.Present || silences.Present, errors.Join(err, err2, err3)
}

// ruleFindings are about the sorts of packet rules that state has, or about those
// that it has none of.
func (r *Runner) ruleFindings(ctx context.Context, state State, without bool) ([]Finding, error) {
	var all []Finding
	for _, sort := range []struct {
		none     bool
		findings func(context.Context) ([]Finding, error)
	}{
		{len(state.Silences) == 0, r.silenceFindings(state)},
		{len(state.Redirects) == 0, r.redirectRules(state).findings},
		{len(state.Clamps) == 0, r.clampRules(state).findings},
	} {
		if sort.none != without {
			continue
		}
		findings, err := sort.findings(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, findings...)
	}
	return all, nil
}

// silenceFindings asks for the kernel's ability only where a silence is missing.
func (r *Runner) silenceFindings(state State) func(context.Context) ([]Finding, error) {
	return func(ctx context.Context) ([]Finding, error) {
		all, err := r.silenceRules(state).findings(ctx)
		if err != nil || !slices.ContainsFunc(all, func(f Finding) bool { return f.Got == absent }) {
			return all, err
		}
		able, err := r.Kernel.CanSilence()
		for i := range all {
			if err == nil && !able && all[i].Got == absent {
				all[i].Got, all[i].OK, all[i].Remedy = "not possible with this kernel", true, ""
			}
		}
		return all, err
	}
}
