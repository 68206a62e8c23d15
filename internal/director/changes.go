package director

import (
	"fmt"
	"reflect"

	"github.com/haldir-lb/haldir/internal/config"
)

// Changes says what is different in next, one line for each thing that a
// person would name.
func Changes(old, next *config.Config) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }

	routers := pair(old.VRRP, next.VRRP, func(v config.VRRP) string { return v.Name })
	for _, p := range routers {
		what := fmt.Sprintf("virtual router %q", p.name)
		if p.both(say, what) {
			fields(say, what, *p.old, *p.next)
		}
	}
	if what := "connection_sync"; old.Sync != nil && next.Sync != nil {
		fields(say, what, *old.Sync, *next.Sync)
	} else if old.Sync != next.Sync {
		(paired[config.ConnectionSync]{name: what, old: old.Sync, next: next.Sync}).both(say, what)
	}
	groups := pair(old.SyncGroups, next.SyncGroups, func(g config.SyncGroup) string { return g.Name })
	for _, p := range groups {
		what := fmt.Sprintf("sync group %q", p.name)
		if p.both(say, what) {
			fields(say, what, *p.old, *p.next)
		}
	}
	was, now := config.Different(old, next)
	services := pair(was, now, func(s config.Service) string { return s.Name })
	for _, p := range services {
		what := fmt.Sprintf("service %q", p.name)
		if !p.both(say, what) {
			continue
		}
		a, b := *p.old, *p.next
		for _, r := range pair(a.Real, b.Real, func(r config.Real) string { return realName(r) }) {
			which := fmt.Sprintf("%s: real server %s", what, r.name)
			if r.both(say, which) {
				fields(say, which, *r.old, *r.next)
			}
		}
		a.Real, b.Real = nil, nil
		fields(say, what, a, b)
	}
	return lines
}

func realName(r config.Real) string {
	if r.Port == 0 {
		return r.Address.String()
	}
	return fmt.Sprintf("%s:%d", r.Address, r.Port)
}

// paired is a thing in the old and the new list; one of the two may be nil.
type paired[T any] struct {
	name      string
	old, next *T
}

// both reports whether the thing is in both lists, and says so if it is not.
func (p paired[T]) both(say func(string, ...any), what string) bool {
	switch {
	case p.old == nil:
		say("%s added", what)
	case p.next == nil:
		say("%s removed", what)
	default:
		return true
	}
	return false
}

// pair matches two lists by name: the new order first, then what is gone.
func pair[T any](old, next []T, name func(T) string) []paired[T] {
	var pairs []paired[T]
	index := make(map[string]int)
	for i := range next {
		index[name(next[i])] = len(pairs)
		pairs = append(pairs, paired[T]{name: name(next[i]), next: &next[i]})
	}
	for i := range old {
		if at, ok := index[name(old[i])]; ok {
			pairs[at].old = &old[i]
		} else {
			pairs = append(pairs, paired[T]{name: name(old[i]), old: &old[i]})
		}
	}
	return pairs
}

// fields says which fields of two structs differ, with both values.
func fields(say func(string, ...any), what string, old, next any) {
	a, b := reflect.ValueOf(old), reflect.ValueOf(next)
	for i := range a.NumField() {
		before, after := a.Field(i).Interface(), b.Field(i).Interface()
		if !reflect.DeepEqual(before, after) {
			say("%s: %s: %s, was %s", what, a.Type().Field(i).Name, shown(after), shown(before))
		}
	}
}

func shown(v any) string {
	value := reflect.ValueOf(v)
	if value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return "none"
		}
		v = value.Elem().Interface()
	}
	if value.Kind() == reflect.Slice && value.Len() == 0 {
		return "none"
	}
	return fmt.Sprintf("%v", v)
}
