package vrrp

import (
	"fmt"
	"net/netip"
)

// adverts encodes the adverts of a valid configuration with the given priority:
// one to the group, or one to each peer but ourselves.
func adverts(cfg *RouterConfig, source netip.Addr, priority uint8) ([]Outgoing, error) {
	if len(cfg.Peers) == 0 {
		message, err := advert(cfg, source, cfg.Family().Group(), priority)
		return []Outgoing{{Message: message}}, err
	}
	var all []Outgoing
	for _, peer := range cfg.Peers {
		if peer == source {
			continue
		}
		message, err := advert(cfg, source, peer, priority)
		if err != nil {
			return nil, err
		}
		all = append(all, Outgoing{To: peer, Message: message})
	}
	return all, nil
}

func advert(cfg *RouterConfig, source, destination netip.Addr, priority uint8) ([]byte, error) {
	p := Packet{Version: cfg.Version, VRID: cfg.VRID, Priority: priority, Interval: cfg.Interval, Addresses: cfg.advertised(),
		Checksum: cfg.Checksum, Authentication: cfg.Authentication}
	size := headerLen + cfg.Family().addressLen()*len(cfg.Addresses) + authLen
	return p.Append(make([]byte, 0, size), source, destination)
}

// Will returns the ready-made advert of priority 0 with which another process
// can resign for a multicast router whose own process died. It is nil if the
// configuration or the source cannot be sent, and for unicast routers, see
// [Resign].
func Will(cfg RouterConfig, source netip.Addr) []byte {
	if len(cfg.Peers) > 0 {
		return nil
	}
	b, err := advert(&cfg, source, cfg.Family().Group(), 0)
	if err != nil {
		return nil
	}
	return b
}

// Resign sends adverts of priority 0, to the group or to all peers, for a router
// whose own process died.
func Resign(p Port, cfg *RouterConfig, source netip.Addr) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	all, err := adverts(cfg, source, 0)
	if err != nil {
		return err
	}
	if len(cfg.Peers) == 0 {
		_, err = p.Send(source, [][]byte{all[0].Message})
		return err
	}
	for len(all) > 0 {
		n, err := p.SendTo(source, all)
		if n == 0 && err == nil {
			err = fmt.Errorf("resigning for virtual router %q: nothing was sent", cfg.Name)
		}
		if err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
