package config

import (
	"fmt"
	"net/netip"
)

// How a real server takes what DR forwards: it holds the virtual address, or it
// redirects what is sent to it.
const (
	receiveAddress  = "address"
	receiveRedirect = "redirect"
)

func receives() []string { return []string{receiveAddress, receiveRedirect} }

// checkReceive checks the key against forward, and fills in the result.
func (l *loader) checkReceive(b *serviceBlock) {
	f, forward := b.receive, b.Service.Forward
	switch {
	case !b.forward.sound():
	case forward == "dr":
		b.Service.Redirect = f.or(receiveAddress) == receiveRedirect
	case f.set:
		l.found.add(f.place, problem{
			message: fmt.Sprintf("with forward = %q there is no choice of how a real server receives", forward),
			legal:   `only with forward = "dr"`,
		})
	}
}

// mapsPorts reports whether real servers may have a port of their own.
func (b *serviceBlock) mapsPorts() bool { return b.Service.Forward == "nat" || b.Service.Redirect }

// portOf is the port by which the directors know a real server. One that redirects
// does so on its own: they know the listener's alone.
func (b *serviceBlock) portOf(r Real, listen netip.AddrPort) uint16 {
	if r.Port == 0 || b.Service.Redirect {
		return listen.Port()
	}
	return r.Port
}

// portLegal says what is legal where a real server must not have a port.
func (b *serviceBlock) portLegal() string {
	if b.Service.Forward == "dr" {
		return `the address alone, receive = "redirect", or forward = "nat"`
	}
	return `the address alone, or forward = "nat"`
}
