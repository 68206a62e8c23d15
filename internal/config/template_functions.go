package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	sockaddr "github.com/hashicorp/go-sockaddr"
)

// local holds the template functions that replace go-sockaddr's: they are about
// all, the host's addresses without the virtual ones.
type local struct {
	host *host
	all  sockaddr.IfAddrs
}

func (l local) functions() template.FuncMap {
	return template.FuncMap{
		"GetAllInterfaces":     func() sockaddr.IfAddrs { return l.all },
		"GetDefaultInterfaces": l.onDefaultRoute,
		"GetPrivateInterfaces": func() (sockaddr.IfAddrs, error) { return l.reachable(private) },
		"GetPublicInterfaces":  func() (sockaddr.IfAddrs, error) { return l.reachable(public) },
		"GetPrivateIP":         func() (string, error) { return addressesOf(l.reachable(private)) },
		"GetPublicIP":          func() (string, error) { return addressesOf(l.reachable(public)) },
		"GetPrivateIPs":        func() (string, error) { return addressesOf(filter(l.all, forwardable, private)) },
		"GetPublicIPs":         func() (string, error) { return addressesOf(filter(l.all, forwardable, public)) },
		"GetInterfaceIP":       func(name string) (string, error) { return addressesOf(filter(l.all, called(name), forwardable)) },
		"GetInterfaceIPs":      func(name string) (string, error) { return addressesOf(filter(l.all, called(name))) },
		"attr":                 attr,
		"sort":                 sortBy,
	}
}

// onDefaultRoute returns the addresses of the default route's interface.
func (l local) onDefaultRoute() (sockaddr.IfAddrs, error) {
	find := l.host.opt.DefaultInterface
	if find == nil {
		find = defaultInterface
	}
	name, err := find()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, errHost)
	}
	return slices.DeleteFunc(slices.Clone(l.all), func(a sockaddr.IfAddr) bool { return a.Name != name }), nil
}

// reachable returns the usable addresses of the default route's interface that
// are in scope.
func (l local) reachable(scope addressFilter) (sockaddr.IfAddrs, error) {
	list, err := l.onDefaultRoute()
	if err != nil {
		return nil, err
	}
	return filter(list, forwardable, up, scope)
}

// addressFilter returns the addresses of a list that it is about.
type addressFilter func(sockaddr.IfAddrs) (sockaddr.IfAddrs, error)

func filter(list sockaddr.IfAddrs, filters ...addressFilter) (sockaddr.IfAddrs, error) {
	for _, f := range filters {
		var err error
		if list, err = f(list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func private(list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
	in, _, err := sockaddr.IfByRFC("6890", list)
	return in, err
}

func public(list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
	_, out, err := sockaddr.IfByRFC("6890", list)
	return out, err
}

func forwardable(list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
	in, _, err := sockaddr.IfByFlag("forwardable", list)
	return in, err
}

func up(list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
	in, _, err := sockaddr.IfByFlag("up", list)
	return in, err
}

// called is about the interfaces whose whole name matches expression.
func called(expression string) addressFilter {
	return func(list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
		in, _, err := sockaddr.IfByName("^(?:"+expression+")$", list)
		return in, err
	}
}

func addressesOf(list sockaddr.IfAddrs, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return attr("address", list)
}

// attr returns the attribute of every element, separated by spaces.
func attr(selector string, of any) (string, error) {
	switch of := of.(type) {
	case sockaddr.IfAddr:
		return sockaddr.IfAttr(selector, of)
	case sockaddr.IfAddrs:
		words := make([]string, len(of))
		for i, a := range of {
			word, err := sockaddr.IfAttr(selector, a)
			if err != nil {
				return "", err
			}
			words[i] = word
		}
		return strings.Join(words, " "), nil
	}
	return "", fmt.Errorf("attr %q of a %T, where addresses belong", selector, of)
}

// sortBy is go-sockaddr's sort without the key that runs the ip program.
func sortBy(keys string, list sockaddr.IfAddrs) (sockaddr.IfAddrs, error) {
	for key := range strings.SplitSeq(keys, ",") {
		if strings.TrimLeft(strings.ToLower(strings.TrimSpace(key)), "+-") == "default" {
			return nil, errors.New(`the key "default" is not available: use GetDefaultInterfaces`)
		}
	}
	return sockaddr.SortIfBy(keys, list)
}
