package config

import (
	"reflect"
	"slices"
	"strings"
)

// LoadAgain is Load for what may have changed since before was loaded; nil is
// nothing. Where some [[service]] blocks alone are different, only those are read
// and checked, and the other services are those of before: it takes time for what
// is different. In any other case, and wherever something is wrong, it is a Load.
func LoadAgain(path string, opt Options, before *Config) (*Config, error) {
	sources, err := readSources(path)
	if err != nil {
		return nil, err
	}
	if c, ok := loadChanged(sources, opt, before); ok {
		return c, nil
	}
	return loadSources(sources, opt)
}

// loadChanged reads what is different in sources. It gives up where it cannot
// tell that loadSources would yield the same.
func loadChanged(sources []*source, opt Options, before *Config) (*Config, bool) {
	if before == nil || before.parts == nil || before.parts.whole || len(sources) != len(before.Texts) {
		return nil, false
	}
	a := again{before: before, room: 16 + len(before.Services)/8}
	for i, src := range sources {
		if src.name != before.Texts[i].Name || !a.reduce(src, before.Texts[i].Text, before.parts.files[i]) {
			return nil, false
		}
	}
	l := newLoader(opt)
	l.elsewhere = make(map[string]bool, len(before.Services))
	for i, kept := range a.kept {
		if kept {
			l.elsewhere[before.Services[i].Name] = true
		}
	}
	changed, err := l.load(a.reduced)
	if err != nil || !a.fits(changed) {
		return nil, false
	}
	return a.merge(changed, sources), true
}

// again is the state of one loadChanged.
type again struct {
	before *Config
	room   int // how many more blocks may be different, before a whole Load is no slower
	// kept says which services of before are taken over, in their order.
	kept []bool
	// reduced are the new texts without the blocks of the services that are kept,
	// and divisions divides the whole of them.
	reduced   []*source
	divisions []division
	warnings  Diagnostics // of before that still hold
}

// reduce cuts the blocks out of a text that are as they were. It reports false
// where the blocks of the new text are not one for one those of the old.
//
// A TOML document that ends where a block begins is complete, whatever follows: so
// a part of the text that was a block in the old text is one in the new, if it
// begins where the one before it ends. One that is different has to be complete by
// itself.
func (a *again) reduce(src *source, old string, d division) bool {
	head := d.head(old)
	out := &source{name: src.name, rank: src.rank}
	if len(d.starts) == 0 {
		out.text = src.text
		a.reduced, a.divisions = append(a.reduced, out), append(a.divisions, division{})
		return true
	}
	if !strings.HasPrefix(src.text, head) {
		return false
	}
	next := division{starts: make([]int, len(d.starts)), always: make([]bool, len(d.starts))}
	var text strings.Builder
	text.WriteString(head)
	at := len(head)
	stale := a.warningsOf(src.rank)
	for i := range d.starts {
		if at == len(src.text) {
			return false
		}
		block := d.block(old, i)
		end := at + len(block)
		keep := !d.always[i] && strings.HasPrefix(src.text[at:], block) && opensBlock(src.text, end)
		if keep {
			a.keepWarnings(stale, old, d.starts[i], block, src.text, at)
			out.cut(text.Len(), strings.Count(block, "\n"))
		} else {
			end = nextBlock(src.text, at)
			block = src.text[at:end]
			if a.room--; a.room < 0 || !completeBlock(block) {
				return false
			}
			text.WriteString(block)
			next.always[i] = !lasting(block)
		}
		a.kept = append(a.kept, keep)
		next.starts[i] = at
		at = end
	}
	out.text = text.String()
	a.reduced, a.divisions = append(a.reduced, out), append(a.divisions, next)
	return at == len(src.text)
}

// completeBlock reports whether text is one block, and a document by itself.
func completeBlock(text string) bool {
	values := map[string]any{}
	if invalidText(text) >= 0 || !indexText(text).complete || decode(text, &values) != nil {
		return false
	}
	services, _ := values["service"].([]map[string]any)
	return len(services) == 1
}

// warningsOf are those about a file.
func (a *again) warningsOf(rank int) Diagnostics {
	return only(a.before.Warnings, func(d Diagnostic) bool { return d.file == rank })
}

// keepWarnings keeps the warnings about a block that has moved from one offset of
// the old text to another of the new.
func (a *again) keepWarnings(all Diagnostics, old string, from int, block, text string, to int) {
	if len(all) == 0 {
		return
	}
	first := strings.Count(old[:from], "\n") + 1
	moved := strings.Count(text[:to], "\n") + 1 - first
	for _, w := range all {
		if w.Line >= first && w.Line < first+strings.Count(block, "\n") {
			w.Line += moved
			a.warnings = append(a.warnings, w)
		}
	}
}

// fits reports whether what was read differs from before in services alone, and
// in these in nothing that other services are compared with.
func (a *again) fits(changed *Config) bool {
	b := a.before
	if changed.Node != b.Node || changed.MarkBase != b.MarkBase || !reflect.DeepEqual(changed.VRRP, b.VRRP) ||
		!reflect.DeepEqual(changed.SyncGroups, b.SyncGroups) || !reflect.DeepEqual(changed.Sync, b.Sync) {
		return false
	}
	read := changed.Services
	for i := range a.kept {
		if a.kept[i] {
			continue
		}
		if len(read) == 0 || !sameListeners(&read[0], &b.Services[i]) {
			return false
		}
		read = read[1:]
	}
	return len(read) == 0
}

// sameListeners reports whether two services are the same to all others.
func sameListeners(a, b *Service) bool {
	return a.Name == b.Name && a.Protocol == b.Protocol && a.FWMark == b.FWMark &&
		slices.Equal(a.Listen, b.Listen) && slices.Equal(a.Marked, b.Marked)
}

// merge puts the services that were read in the places of the earlier ones.
func (a *again) merge(changed *Config, sources []*source) *Config {
	c := *changed
	c.Services = slices.Clone(a.before.Services)
	c.parts = &parts{files: a.divisions, sums: slices.Clone(a.before.parts.sums)}
	read := 0
	for i, kept := range a.kept {
		if !kept {
			c.Services[i], c.parts.sums[i] = changed.Services[read], changed.parts.sums[read]
			read++
		}
	}
	c.Texts = texts(sources)
	c.Warnings = append(slices.Clone(c.Warnings), a.warnings...)
	c.Warnings.sort()
	c.Digest = c.digest()
	return &c
}
