package main

import (
	"context"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/script"
)

// load reads the configuration. A director must find its interfaces and its
// name in it; others read it for what it says.
func (s *settings) load(director bool) (*config.Config, error) {
	return config.Load(s.config, s.options(director))
}

func (s *settings) options(director bool) config.Options {
	options := config.Options{Node: s.node, Addresses: ownAddresses, Program: script.Safe}
	if director {
		options.Interfaces, options.RequireDirector = config.HostInterfaces, true
	}
	return options
}

// ownAddresses lists the addresses that templates may see: those of this host
// without the ones that haldir put there, which come and go.
func ownAddresses() ([]config.HostAddress, error) {
	all, err := config.HostAddresses()
	if err != nil {
		return nil, err
	}
	tagged, err := netif.NewAddresses().Read(context.Background())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(a config.HostAddress) bool {
		return slices.ContainsFunc(tagged, func(p netif.PresentAddress) bool {
			return p.Ours && p.Interface == a.Interface.Name && p.Prefix == a.Prefix
		})
	}), nil
}
