package config

import "reflect"

// Different returns the services of two configurations that are not the same in
// both, in their order: those of old, and those of next. A service is known by its
// name; one that has changed is in both lists. Between a configuration and what
// LoadAgain made of it that takes next to no time.
func Different(old, next *Config) (was, now []Service) {
	if len(old.Services) == len(next.Services) && sameNames(old.Services, next.Services) {
		for i := range old.Services {
			if !sameService(old, i, next, i) {
				was, now = append(was, old.Services[i]), append(now, next.Services[i])
			}
		}
		return was, now
	}
	index := make(map[string]int, len(old.Services))
	for i := range old.Services {
		index[old.Services[i].Name] = i
	}
	stays := make(map[int]bool)
	for i := range next.Services {
		if at, ok := index[next.Services[i].Name]; ok && sameService(old, at, next, i) {
			stays[at] = true
		} else {
			now = append(now, next.Services[i])
		}
	}
	for i := range old.Services {
		if !stays[i] {
			was = append(was, old.Services[i])
		}
	}
	return was, now
}

func sameNames(a, b []Service) bool {
	for i := range a {
		if a[i].Name != b[i].Name {
			return false
		}
	}
	return true
}

// sameService compares two services of the same name. One that was taken over has
// the same sum in the same place of the memory.
func sameService(old *Config, i int, next *Config, j int) bool {
	if a, b := old.sumAt(i), next.sumAt(j); a != nil && a == b {
		return true
	}
	return reflect.DeepEqual(&old.Services[i], &next.Services[j])
}

// sumAt is the sum of a service; nil where c is not, or not only, what was loaded.
func (c *Config) sumAt(i int) *sum {
	if c.parts == nil || len(c.parts.sums) != len(c.Services) {
		return nil
	}
	return c.parts.sums[i]
}
