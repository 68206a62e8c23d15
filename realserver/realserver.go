// Package realserver makes a host a real server: it derives from the cluster's
// configuration what the host needs for DR, TUN and NAT, brings that about,
// reads it back, and undoes it to the values found before.
//
// It owns what it tagged or recorded on this host, and nothing else: an address,
// link state or sysctl that somebody else set is reported, never taken over. A
// Runner does its work and returns; a Keeper goes on and follows changes.
package realserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// ErrNoService is wrapped by Desired's error where no service of the
// configuration lists an address of the host.
var ErrNoService = errors.New("no service lists an address of this host")

// Host is what Desired has to know of this machine.
type Host struct {
	Addresses []HostAddress
	// MTU are those of its interfaces, bytes.
	MTU map[string]int
}

// HostAddress is an address and the interface that carries it.
type HostAddress struct {
	Interface string     `json:"interface"`
	Address   netip.Addr `json:"address"`
}

// String lists the addresses that a service could name.
func (h Host) String() string {
	var all []string
	for _, a := range h.Addresses {
		if !a.Address.IsLoopback() && !a.Address.IsLinkLocalUnicast() {
			all = append(all, a.Address.String()+" on "+a.Interface)
		}
	}
	if len(all) == 0 {
		return "no address but loopback and link-local ones"
	}
	return strings.Join(all, ", ")
}

// ReadHost reads the addresses of this host.
func ReadHost() (Host, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return Host{}, fmt.Errorf("listing interfaces: %w", err)
	}
	host := Host{MTU: map[string]int{}}
	for _, ifi := range interfaces {
		host.MTU[ifi.Name] = ifi.MTU
		addrs, err := ifi.Addrs()
		if err != nil {
			return Host{}, fmt.Errorf("listing addresses of %s: %w", ifi.Name, err)
		}
		for _, a := range addrs {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue // no IP address
			}
			host.Addresses = append(host.Addresses, HostAddress{Interface: ifi.Name, Address: prefix.Addr().Unmap()})
		}
	}
	return host, nil
}
