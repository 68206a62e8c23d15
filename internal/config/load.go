package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Load reads and checks the configuration at path: one file, or a folder with
// haldir.toml and conf.d/*.toml, whose blocks are appended in that order.
//
// The error is Diagnostics if the text is wrong: all of its errors, in the order
// of the files. Any other error means that something could not be read.
func Load(path string, opt Options) (*Config, error) {
	sources, err := readSources(path)
	if err != nil {
		return nil, err
	}
	return loadSources(sources, opt)
}

// LoadTexts is Load for texts that were read before, such as those of an earlier
// Config. It reads no file.
func LoadTexts(texts []Text, opt Options) (*Config, error) {
	sources := make([]*source, len(texts))
	for i, t := range texts {
		sources[i] = &source{name: t.Name, rank: i, text: t.Text}
	}
	return loadSources(sources, opt)
}

func loadSources(sources []*source, opt Options) (*Config, error) {
	return newLoader(opt).load(sources)
}

func newLoader(opt Options) *loader {
	return &loader{
		opt:    opt,
		host:   host{opt: opt, vips: map[netip.Addr]bool{}},
		tables: map[string]place{},
		parts:  &parts{},
	}
}

// loader is the state of one Load.
type loader struct {
	opt   Options
	found findings
	host  host

	node field[string]
	vrrp []*vrrpBlock
	// priorities is the last table of priorities that was read.
	priorities map[string]uint8
	groups     []*groupBlock
	services   []*serviceBlock
	sync       *syncBlock // nil: there is none
	timeouts   Timeouts
	api        API
	markBase   field[int64]
	pending    []*table // [[service]] tables, read when the virtual addresses are known
	tables     map[string]place
	parts      *parts
	holder     map[netip.Addr]string // see holders

	// elsewhere has the names of services that are not in the sources, because they
	// are as they were when they were checked.
	elsewhere map[string]bool

	// What is incomplete because of errors that are reported already is not
	// reasoned about: one mistake gets one message.
	vipsUnknown  bool // some virtual address may be missing
	nodesUnknown bool // some node name may be missing
}

func (l *loader) load(sources []*source) (*Config, error) {
	l.readBlocks(sources)
	l.resolveVIPs()
	for _, b := range l.vrrp {
		l.resolveInterface(b)
	}
	l.resolveSync()
	l.readServices()
	name, err := l.nodeName()
	if err != nil {
		return nil, err
	}
	l.check(sources, name)

	l.found.errors.sort()
	l.found.warnings.sort()
	if len(l.found.errors) > 0 {
		return nil, l.found.errors
	}
	c := &Config{Node: name, API: l.api, Timeouts: l.timeouts, Warnings: l.found.warnings, MarkBase: uint32(l.markBase.or(defaultMarkBase))}
	c.Texts = texts(sources)
	for _, src := range sources {
		c.Files = append(c.Files, src.name)
	}
	for _, b := range l.vrrp {
		b.VRRP.Priority = b.Priorities.For(name)
		c.VRRP = append(c.VRRP, b.VRRP)
	}
	for _, g := range l.groups {
		c.SyncGroups = append(c.SyncGroups, g.SyncGroup)
	}
	c.Services = make([]Service, len(l.services))
	for i, b := range l.services {
		c.Services[i] = b.Service
	}
	if l.sync != nil {
		c.Sync = &l.sync.ConnectionSync
	}
	c.parts = l.parts
	c.parts.sums = serviceSums(c.Services)
	c.Digest = c.digest()
	return c, nil
}

func texts(sources []*source) []Text {
	all := make([]Text, len(sources))
	for i, src := range sources {
		all[i] = Text{Name: src.name, Text: src.text}
	}
	return all
}

// readBlocks reads every file but what needs the virtual addresses of all.
func (l *loader) readBlocks(sources []*source) {
	for _, src := range sources {
		top := parseSource(src, &l.found)
		if top == nil {
			l.vipsUnknown, l.nodesUnknown = true, true
			continue
		}
		d, ok := divide(src.text, top.entry)
		l.parts.files, l.parts.whole = append(l.parts.files, d), l.parts.whole || !ok
		if node, present, ok := top.child("node"); present && ok {
			l.once("node", node.place)
			if f := node.name("name"); f.set {
				l.node = f
			}
			node.finish()
		}
		blocks, ok := top.children("vrrp")
		if !ok {
			l.vipsUnknown, l.nodesUnknown = true, true
		}
		for _, t := range blocks {
			l.vrrp = append(l.vrrp, l.decodeVRRP(t))
		}
		groups, _ := top.children("sync_group")
		for _, t := range groups {
			l.groups = append(l.groups, l.decodeGroup(t))
		}
		services, _ := top.children("service")
		l.pending = append(l.pending, services...)
		if sync, present, ok := top.child("connection_sync"); present && ok {
			l.once("connection_sync", sync.place)
			l.decodeConnectionSync(sync)
		}
		if ipvs, present, ok := top.child("ipvs"); present && ok {
			l.once("ipvs", ipvs.place)
			l.decodeIPVS(ipvs)
			ipvs.finish()
		}
		if checks, present, ok := top.child("checks"); present && ok {
			l.once("checks", checks.place)
			l.decodeMarks(checks)
			checks.finish()
		}
		if api, present, ok := top.child("api"); present && ok {
			l.once("api", api.place)
			l.decodeAPI(api)
			api.finish()
		}
		unknown, meant := top.finish()
		if slices.Contains(meant, "vrrp") || unknown > 0 && len(l.vrrp) == 0 {
			l.vipsUnknown, l.nodesUnknown = true, true
		}
	}
}

// once reports a table that another file has set already.
func (l *loader) once(name string, at place) {
	if first, ok := l.tables[name]; ok {
		at.text = ""
		l.found.add(at, problem{message: fmt.Sprintf("the table [%s] is set already, at %s", name, first.seenFrom(at))})
		return
	}
	l.tables[name] = at
}

func (l *loader) readServices() {
	for _, t := range l.pending {
		l.services = append(l.services, l.decodeService(t))
	}
}

// nodeName is the name of this node: Options.Node, else [node] name, else the
// short host name.
func (l *loader) nodeName() (string, error) {
	if l.opt.Node != "" {
		return l.opt.Node, nil
	}
	if l.node.set {
		return l.node.value, nil
	}
	hostname := l.opt.Hostname
	if hostname == nil {
		hostname = os.Hostname
	}
	name, err := hostname()
	if err == nil && name == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("reading the host name for the node's name: %w", err)
	}
	name, _, _ = strings.Cut(name, ".")
	return name, nil
}
