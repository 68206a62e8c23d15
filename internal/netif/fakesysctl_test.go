package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

var errCrash = errors.New("the process is dead")

// fakeSystem is sysctls and a disk in memory. After a number of steps the
// process is dead: nothing has any effect until revive.
type fakeSystem struct {
	sysctls map[string]string
	files   map[string]string
	id      string
	steps   int // left to live; negative: for ever
	used    int
	refuse  map[string]error // of writing to a path or file
	log     []string         // changes, in order
}

func newFakeSystem(sysctls map[string]string) *fakeSystem {
	return &fakeSystem{sysctls: maps.Clone(sysctls), files: map[string]string{}, id: "boot 1", steps: -1, refuse: map[string]error{}}
}

func (s *fakeSystem) step() error {
	if s.steps == 0 {
		return errCrash
	}
	s.steps--
	s.used++
	return nil
}

func (s *fakeSystem) boot() (string, error) { return s.id, s.step() }

func (s *fakeSystem) readSysctl(path string) (string, error) {
	if err := s.step(); err != nil {
		return "", err
	}
	value, ok := s.sysctls[path]
	if !ok {
		return "", fmt.Errorf("reading sysctl %s: %w", path, fs.ErrNotExist)
	}
	return value, nil
}

// writeSysctl knows what else Linux changes with forwarding.
func (s *fakeSystem) writeSysctl(path, value string) error {
	if err := errors.Join(s.step(), s.refuse[path]); err != nil {
		return err
	}
	s.log = append(s.log, path+" = "+value)
	changed := s.sysctls[path] != value
	s.sysctls[path] = value
	if path != "net/ipv4/ip_forward" || !changed {
		return nil
	}
	s.sysctls["net/ipv4/conf/all/accept_redirects"] = map[string]string{"0": "1", "1": "0"}[value]
	for p := range s.sysctls {
		if strings.HasSuffix(p, "/forwarding") {
			s.sysctls[p] = value
		}
	}
	return nil
}

func (s *fakeSystem) interfaces(path string) ([]string, error) {
	set := map[string]bool{}
	for p := range s.sysctls {
		if rest, ok := strings.CutPrefix(p, path+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			set[name] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), s.step()
}

func (s *fakeSystem) readFile(name string) ([]byte, error) {
	if err := s.step(); err != nil {
		return nil, err
	}
	data, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(data), nil
}

// replace happens as a whole, or not; package statefile is tested for that.
func (s *fakeSystem) replace(name string, data []byte) error {
	if err := errors.Join(s.step(), s.refuse[name]); err != nil {
		return err
	}
	s.log = append(s.log, "replace "+name)
	s.files[name] = string(data)
	return s.step()
}

func (s *fakeSystem) remove(name string) error {
	if err := s.step(); err != nil {
		return err
	}
	delete(s.files, name)
	return nil
}
