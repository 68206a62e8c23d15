package config

import (
	"fmt"
	"net/netip"
	"strings"
)

const authenticationLegal = "1 to 8 octets without NUL"

// peerField is one element of peers that is an address.
type peerField struct {
	field[string]
	addr netip.Addr
}

// decodeAdverts reads how the directors of one virtual router talk to one another.
func (l *loader) decodeAdverts(t *table, b *vrrpBlock) {
	version := t.number("version", 2, 3)
	b.Version = uint8(version.or(defaultVersion))
	legalFor := b.Version
	if !version.sound() {
		legalFor = 0
	}
	b.Interval = t.duration("interval", intervalSpan(legalFor)).or(defaultInterval)
	l.decodeChecksum(t, b, version)
	l.decodeAuthentication(t, b, version)
	l.decodePeers(t, b)
	minTTL := t.number("min_ttl", 1, 255)
	b.MinTTL = uint8(minTTL.or(0))
	if _, unicast := t.values["peers"]; minTTL.good && !unicast {
		t.found.add(minTTL.place, problem{message: "no effect without peers", legal: "together with peers, or leave it out"})
	}
}

func (l *loader) decodeChecksum(t *table, b *vrrpBlock, version field[int64]) {
	f := t.choice("checksum", checksums())
	b.checksum = f
	switch {
	case b.Version == 3:
		b.Checksum = f.or(defaultChecksum)
	case f.good && version.good:
		t.found.add(f.place, problem{message: "version 2 leaves no choice of the checksum", legal: "only with version = 3"})
	}
}

func (l *loader) decodeAuthentication(t *table, b *vrrpBlock, version field[int64]) {
	f := t.secret("authentication", authenticationLegal)
	if !f.good {
		return
	}
	switch {
	case b.Version == 3 && version.sound():
		t.found.add(f.place, problem{message: "version 3 has no authentication", legal: "only with version = 2"})
	case f.value == "":
		t.found.add(f.place, problem{message: "an empty text", legal: authenticationLegal + "; without authentication, leave the key out"})
	case len(f.value) > 8:
		t.found.add(f.place, problem{message: fmt.Sprintf("a text of %d octets", len(f.value)), legal: authenticationLegal})
	case strings.Contains(f.value, "\x00"):
		t.found.add(f.place, problem{message: "a text with NUL", legal: authenticationLegal})
	default:
		b.Authentication = Secret(f.value)
		t.found.warn(f.place, problem{message: authenticationWarning})
	}
}

const authenticationWarning = "simple-text authentication keeps out mistakes, not attackers: everybody on the link can read it"

func (l *loader) decodePeers(t *table, b *vrrpBlock) {
	fields, good := t.strings("peers", peerLegal)
	b.peersUnread = !good
	seen := map[netip.Addr]place{}
	for _, f := range fields {
		t.refuseTemplate(&f)
		if !f.good {
			continue
		}
		addr, what := parsePeer(f.value)
		if first, twice := seen[addr]; twice && what.message == "" {
			what.message = fmt.Sprintf("%s is a peer already, at %s", addr, first.seenFrom(f.place))
		}
		if what.message != "" {
			b.peersUnread = true
			t.found.add(f.place, what)
			continue
		}
		seen[addr] = f.place
		b.peers = append(b.peers, peerField{f, addr})
		b.Peers = append(b.Peers, addr)
	}
}

// checkPeers checks that no peer is a virtual address, which any director may hold.
func (l *loader) checkPeers() {
	for _, b := range l.vrrp {
		for _, f := range b.peers {
			if l.host.vips[f.addr] {
				l.found.add(f.place, problem{
					message: fmt.Sprintf("%s is a virtual address, which moves between the directors", f.addr),
					legal:   "the director's own address",
				})
			}
		}
	}
}
