package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/track"
)

// trackBlock is one element of track: the result and where its parts stand.
type trackBlock struct {
	Tracker
	head    place
	subject place
	weight  field[int64]
	command []string // of a script
	user    string
}

// trackSubjects are the keys of which each tracker has one.
func trackSubjects() []string {
	return []string{"interface", "script", "file", "process", "gateway", "service"}
}

// trackTimes are the defaults of a kind's checks.
type trackTimes struct {
	every      time.Duration
	rise, fall int
}

// decodeTrack reads the list called track. What is not read well is left out.
func (l *loader) decodeTrack(t *table) []trackBlock {
	tables, _ := t.children("track")
	var blocks []trackBlock
	for _, c := range tables {
		if b, ok := l.decodeTracker(c); ok {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

func (l *loader) decodeTracker(t *table) (trackBlock, bool) {
	b := trackBlock{head: t.place}
	b.head.text = ""
	var given []string
	for _, key := range trackSubjects() {
		if _, ok := t.values[key]; ok {
			given = append(given, key)
		}
	}
	// A gateway has an interface too.
	if slices.Contains(given, "gateway") {
		given = slices.DeleteFunc(given, func(key string) bool { return key == "interface" })
	}
	switch len(given) {
	case 0:
		if len(t.values) > 0 {
			for key := range t.values {
				if near := nearest(key, trackSubjects()); near != "" {
					t.known = append(t.known, trackSubjects()...)
					t.finish() // says which key was meant
					return b, false
				}
			}
		}
		t.found.add(b.head, problem{message: "does not say what to track", legal: "one of " + list(trackSubjects())})
		return b, false
	case 1:
	default:
		at := t.value(given[1], t.values[given[1]]).place
		t.found.add(at, problem{message: "one tracker tracks one thing, and this one has " + given[0] + " already", legal: "a { … } for each"})
		return b, false
	}
	before := len(t.found.errors)
	b.weight = t.number("weight", -track.MaxWeight, track.MaxWeight)
	switch given[0] {
	case "interface":
		l.decodeTrackInterface(t, &b)
	case "script":
		l.decodeTrackScript(t, &b)
	case "file":
		l.decodeTrackFile(t, &b)
	case "process":
		l.decodeTrackProcess(t, &b)
	case "gateway":
		l.decodeTrackGateway(t, &b)
	case "service":
		l.decodeTrackService(t, &b)
	}
	t.finish()
	if b.weight.good && b.weight.value == 0 {
		t.found.add(b.weight.place, problem{message: "changes nothing", legal: "-254 to 254, or no weight: not eligible while the tracker is down"})
	}
	b.Weight = int(b.weight.or(0))
	return b, len(t.found.errors) == before
}

func delaySpan() span { return span{high: 255 * time.Second} }

func (l *loader) decodeTrackInterface(t *table, b *trackBlock) {
	f := t.str("interface", interfaceLegal)
	if f.good {
		if what := checkInterface(f.value); what.message != "" {
			t.found.add(f.place, what)
		}
	}
	down, up := t.duration("down_delay", delaySpan()), t.duration("up_delay", delaySpan())
	b.Kind, b.Subject, b.subject = TrackInterface, f.value, f.place
	b.DownDelay, b.UpDelay = down.or(0), up.or(0)
}

func (l *loader) decodeTrackScript(t *table, b *trackBlock) {
	const legal = "the absolute path of a program, then its arguments"
	words, _ := t.strings("script", legal)
	user := t.name("user")
	for i, f := range words {
		if i == 0 && f.good && !filepath.IsAbs(f.value) {
			t.found.add(f.place, problem{message: "not an absolute path", legal: legal})
		}
		b.command = append(b.command, f.value)
	}
	b.user = user.or("nobody")
	b.Kind, b.Subject = TrackScript, "?"
	if len(words) > 0 {
		b.subject, b.Subject = words[0].place, strings.Join(b.command, " ")
	}
	options := healthcheck.Encode(healthcheck.Exec{Command: b.command, User: b.user})
	b.Check = decodeTrackCheck(t, "exec", options, trackTimes{every: defaultEvery, rise: defaultRise, fall: defaultFall})
}

func (l *loader) decodeTrackFile(t *table, b *trackBlock) {
	const legal = "an absolute path"
	path := t.str("file", legal)
	when := t.choice("up_when", healthcheck.FileStates())
	number := t.truth("number")
	if f := path; f.good && (!filepath.IsAbs(f.value) || strings.ContainsAny(f.value, "\x00{}")) {
		t.found.add(f.place, problem{message: "not an absolute path", legal: legal})
	}
	b.Kind, b.Subject, b.subject = TrackFile, path.value, path.place
	kind, options := "file", healthcheck.Encode(healthcheck.File{Path: path.value, UpWhen: when.or("present")})
	if number.or(false) {
		if when.good {
			t.found.add(when.place, problem{message: "has no meaning where the file's number counts", legal: "up_when or number = true"})
		}
		if b.weight.good {
			t.found.add(b.weight.place, problem{message: "the file's number is the change of the priority", legal: "weight or number = true"})
		}
		b.Kind, kind, options = TrackNumber, track.TypeNumber, track.Encode(track.Number{Path: path.value})
	}
	b.Check = decodeTrackCheck(t, kind, options, trackTimes{every: time.Second, rise: 1, fall: 1})
}

func (l *loader) decodeTrackProcess(t *table, b *trackBlock) {
	const legal = "the name of a program, without its folder"
	name := t.str("process", legal)
	arguments := t.str("arguments", "words of the command line, with single spaces between them")
	least := t.number("at_least", 1, 100000)
	if f := name; f.good && (f.value == "" || strings.ContainsAny(f.value, "/\x00")) {
		what := problem{message: "not the name of a program", legal: legal}
		if base := filepath.Base(f.value); isName(base) {
			what.suggestion = strconv.Quote(base)
		}
		t.found.add(f.place, what)
	}
	b.Kind, b.Subject, b.subject = TrackProcess, name.value, name.place
	if arguments.good && arguments.value != "" {
		b.Subject += " " + arguments.value
	}
	options := track.Encode(track.Process{Name: name.value, Arguments: arguments.value, AtLeast: int(least.or(1))})
	b.Check = decodeTrackCheck(t, track.TypeProcess, options, trackTimes{every: time.Second, rise: 1, fall: 1})
}

func (l *loader) decodeTrackGateway(t *table, b *trackBlock) {
	const legal = "an IPv4 or IPv6 address"
	f := t.str("gateway", legal)
	by := t.choice("by", []string{TrackPing, TrackARP})
	iface := t.str("interface", interfaceLegal)
	address, err := netip.ParseAddr(f.value)
	if f.good && (err != nil || address.IsUnspecified() || address.IsMulticast() || address.Is4In6() || address.Zone() != "") {
		t.found.add(f.place, problem{message: "not the address of one host", legal: legal})
	}
	b.Kind, b.Subject, b.subject, b.Address = by.or(TrackPing), f.value, f.place, address
	kind, options := b.Kind, healthcheck.Options("")
	switch {
	case b.Kind == TrackARP && !iface.set && by.sound():
		t.found.add(by.place, problem{message: "needs the interface where the gateway is", legal: `interface = "eth0" besides it`})
	case b.Kind == TrackARP:
		if iface.good {
			if what := checkInterface(iface.value); what.message != "" {
				t.found.add(iface.place, what)
			}
		}
		kind, options = track.TypeNeighbour, track.Encode(track.Neighbour{Interface: iface.value})
	case iface.set && by.sound():
		t.found.add(iface.place, problem{message: "a ping takes the way that the routes say", legal: `interface together with by = "arp"`})
	}
	b.Check = decodeTrackCheck(t, kind, options, trackTimes{every: time.Second, rise: defaultRise, fall: defaultFall})
}

func (l *loader) decodeTrackService(t *table, b *trackBlock) {
	f := t.name("service")
	t.choice("below", []string{"quorum"})
	b.Kind, b.Subject, b.subject = TrackService, f.value, f.place
}

// decodeTrackCheck reads the keys about time that all checks of trackers have.
func decodeTrackCheck(t *table, kind string, options healthcheck.Options, times trackTimes) *Check {
	every := t.duration("every", everySpan())
	timeout := t.duration("timeout", timeoutSpan())
	rise := t.number("rise", 1, 100)
	fall := t.number("fall", 1, 100)
	c := &Check{
		Type: kind, Options: options,
		Every: every.or(times.every), Rise: int(rise.or(int64(times.rise))), Fall: int(fall.or(int64(times.fall))),
	}
	c.Timeout = timeout.or(min(defaultTimeout, c.Every))
	if timeout.good && every.sound() && c.Timeout > c.Every {
		t.found.add(timeout.place, problem{
			message: fmt.Sprintf("longer than every = %q: the next check would begin before this one has ended", plain(c.Every)),
			legal:   fmt.Sprintf("up to %q", plain(c.Every)),
		})
	}
	return c
}

// trackers returns the results of blocks.
func trackers(blocks []trackBlock) []Tracker {
	var all []Tracker
	for _, b := range blocks {
		all = append(all, b.Tracker)
	}
	return all
}

// checkTrack finds what is wrong with trackers in sight of everything else.
func (l *loader) checkTrack(blocks []trackBlock, primary string) {
	seen := map[string]place{}
	for _, b := range blocks {
		if first, ok := seen[b.Name()]; ok {
			l.found.add(b.subject, problem{message: fmt.Sprintf("tracked already, at %s", first.seenFrom(b.subject))})
			continue
		}
		seen[b.Name()] = b.subject
		switch b.Kind {
		case TrackInterface:
			l.checkTrackedInterface(b, primary)
		case TrackService:
			l.checkTrackedService(b)
		case TrackScript:
			l.checkProgram(b.subject, b.command[0])
		}
	}
}

func (l *loader) checkTrackedInterface(b trackBlock, primary string) {
	if b.Subject == primary {
		l.found.warn(b.subject, problem{message: "the router's own interface is tracked in any case"})
		return
	}
	if !l.opt.RequireDirector || l.opt.Interfaces == nil {
		return
	}
	if known, err := l.opt.Interfaces(); err == nil && !slices.Contains(known, b.Subject) {
		what := problem{message: fmt.Sprintf("this host has no interface %q now: it counts as down until there is one", b.Subject), legal: shorten(list(known))}
		if near := nearest(b.Subject, known); near != "" {
			what.suggestion = strconv.Quote(near)
		}
		l.found.warn(b.subject, what)
	}
}

func (l *loader) checkTrackedService(b trackBlock) {
	if l.elsewhere[b.Subject] {
		return
	}
	var names []string
	for _, s := range l.services {
		names = append(names, s.Service.Name)
		if s.Service.Name == b.Subject {
			return
		}
	}
	if len(names) == 0 {
		l.found.add(b.subject, problem{message: "there is no [[service]] of this name, nor any other"})
		return
	}
	what := problem{message: "there is no [[service]] of this name", legal: shorten(list(names))}
	if near := nearest(b.Subject, names); near != "" {
		what.suggestion = strconv.Quote(near)
	}
	l.found.add(b.subject, what)
}

// checkProgram asks whether a program may be run. On a host that is no director it
// need not be there.
func (l *loader) checkProgram(at place, path string) {
	if l.opt.Program == nil {
		return
	}
	err := l.opt.Program(path)
	switch {
	case err == nil:
	case l.opt.RequireDirector:
		l.found.add(at, problem{message: err.Error(), legal: programLegal})
	default:
		l.found.warn(at, problem{message: "on this host: " + err.Error()})
	}
}

const programLegal = "a program that root alone can change, in folders that root alone can change"
