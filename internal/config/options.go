package config

import (
	"fmt"
	"net"
	"net/netip"
)

// Options say on whose behalf a configuration is read and what of the host it
// may look at. The zero value reads no more of the host than its name.
type Options struct {
	// Node overrides [node] name and the host name; empty is no override.
	Node string
	// Addresses lists this host's addresses for templates. Nil: no template may
	// be evaluated, and one in the file is an error.
	Addresses func() ([]HostAddress, error)
	// DefaultInterface names the interface of the default route, for the template
	// functions that ask for it. Nil reads the kernel's route table.
	DefaultInterface func() (string, error)
	// Interfaces lists this host's interface names. Nil skips the check that an
	// interface exists.
	Interfaces func() ([]string, error)
	// Program says why a program must not be run on this host, or returns nil. A
	// nil Program skips the question.
	Program func(path string) error
	// Hostname returns this host's name. Nil is os.Hostname.
	Hostname func() (string, error)
	// RequireDirector demands that this node can be a director: a priority table
	// lists it and the interfaces of its virtual routers exist.
	RequireDirector bool
}

// HostAddress is one address of this host and the interface that has it.
type HostAddress struct {
	Interface net.Interface
	Prefix    netip.Prefix
}

// HostAddresses lists the addresses of this host, for Options.Addresses.
func HostAddresses() ([]HostAddress, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var all []HostAddress
	for _, ifi := range interfaces {
		addrs, err := ifi.Addrs()
		if err != nil {
			return nil, fmt.Errorf("listing addresses of %s: %w", ifi.Name, err)
		}
		for _, addr := range addrs {
			prefix, err := netip.ParsePrefix(addr.String())
			if err != nil {
				continue // no IP address
			}
			all = append(all, HostAddress{Interface: ifi, Prefix: prefix})
		}
	}
	return all, nil
}

// HostInterfaces lists the interface names of this host, for Options.Interfaces.
func HostInterfaces() ([]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	names := make([]string, len(interfaces))
	for i, ifi := range interfaces {
		names[i] = ifi.Name
	}
	return names, nil
}
