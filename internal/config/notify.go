package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Notify says who is told what becomes of a virtual router or a group.
type Notify struct {
	// On has the hooks by state: master, backup, fault, stop, and any for each of
	// them.
	On map[string]NotifyHook
	// User that programs run as.
	User string
	// Timeout of a program, and of each attempt to reach a URL: 1s..5m.
	Timeout time.Duration
}

// NotifyHook is a program, a URL, or both.
type NotifyHook struct {
	Command []string // absolute path and arguments; nil: none
	URL     Secret   // may have a token in it; empty: none
}

// NotifyStates are the keys of Notify.On.
func NotifyStates() []string { return []string{"master", "backup", "fault", "stop", "any"} }

const defaultNotifyTimeout = 10 * time.Second

func notifyTimeoutSpan() span { return span{low: time.Second, high: 5 * time.Minute} }

// notifyBlock is a table called notify as it is read.
type notifyBlock struct {
	*Notify
	programs []field[string]
}

func (l *loader) decodeNotify(t *table) notifyBlock {
	c, present, ok := t.child("notify")
	if !present || !ok {
		return notifyBlock{}
	}
	b := notifyBlock{Notify: &Notify{On: map[string]NotifyHook{}}}
	for _, state := range NotifyStates() {
		if hook, ok := b.decodeHook(c, state); ok {
			b.On[state] = hook
		}
	}
	user := c.name("user")
	timeout := c.duration("timeout", notifyTimeoutSpan())
	unknown, _ := c.finish()
	b.User, b.Timeout = user.or("nobody"), timeout.or(defaultNotifyTimeout)
	if unknown == 0 && !slices.ContainsFunc(NotifyStates(), func(key string) bool { _, set := c.values[key]; return set }) {
		at := c.place
		at.text = ""
		c.found.add(at, problem{message: "tells nobody anything", legal: "at least one of " + list(NotifyStates())})
	}
	return b
}

const notifyLegal = `a program as a list, ["/usr/local/bin/page", "master"], or { command = [...], url = "https://..." }`

// decodeHook reads what is done on one state: a list is a program, a table has a
// program, a URL or both.
func (b *notifyBlock) decodeHook(t *table, state string) (NotifyHook, bool) {
	v, present := t.get(state)
	if !present {
		return NotifyHook{}, false
	}
	var hook NotifyHook
	switch data := v.data.(type) {
	case []any:
		hook.Command = b.command(t, state)
	case map[string]any:
		c := v.table(data)
		c.known = append(c.known, "command")
		if _, set := data["command"]; set {
			hook.Command = b.command(c, "command")
		}
		to := c.secret("url", "a URL of http or https")
		if f := to; f.good {
			u, err := url.Parse(f.value)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				c.found.add(f.place, problem{message: "not a URL of http or https", legal: `such as "https://hooks.example.org/haldir"`})
			}
			hook.URL = Secret(f.value)
		}
		if unknown, _ := c.finish(); unknown == 0 && len(data) == 0 {
			t.found.add(v.place, problem{message: "does nothing", legal: notifyLegal})
		}
	default:
		suggestion := ""
		if _, isText := data.(string); isText {
			suggestion = "[" + v.text + "]"
		}
		v.mismatch("a program", notifyLegal, suggestion)
	}
	return hook, true
}

func (b *notifyBlock) command(t *table, key string) []string {
	const legal = "the absolute path of a program, then its arguments"
	words, _ := t.strings(key, legal)
	var command []string
	for i, f := range words {
		switch {
		case !f.good:
		case strings.ContainsRune(f.value, 0):
			t.found.add(f.place, problem{message: "has a NUL character", legal: legal})
		case i == 0 && !filepath.IsAbs(f.value):
			t.found.add(f.place, problem{message: "not an absolute path", legal: legal})
		case i == 0:
			b.programs = append(b.programs, f)
		}
		command = append(command, f.value)
	}
	return command
}

// checkNotify asks whether the programs may be run.
func (l *loader) checkNotify(b notifyBlock) {
	for _, p := range b.programs {
		l.checkProgram(p.place, p.value)
	}
}

// canonicalNotify is the form of the schema.
func canonicalNotify(n *Notify) map[string]any {
	if n == nil {
		return nil
	}
	c := map[string]any{"user": n.User, "timeout": plain(n.Timeout)}
	for state, hook := range n.On {
		h := map[string]any{}
		if len(hook.Command) > 0 {
			h["command"] = hook.Command
		}
		if hook.URL != "" {
			h["url"] = string(hook.URL)
		}
		c[state] = h
	}
	return c
}
