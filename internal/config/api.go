package config

import (
	"net/netip"
	"strings"
)

// API says where the node can be asked.
type API struct {
	Socket string // absolute path; empty is haldir.sock in the run directory
	// Listen is where metrics and status are read by HTTP; the zero value is
	// nowhere.
	Listen netip.AddrPort
}

func (l *loader) decodeAPI(t *table) {
	const legal = "an absolute path of at most 107 bytes"
	socket := t.str("socket", legal)
	if socket.good && (!strings.HasPrefix(socket.value, "/") || len(socket.value) > 107 || strings.ContainsRune(socket.value, 0)) {
		l.found.add(socket.place, problem{message: "not a path for a socket", legal: legal})
	}
	l.api.Socket = socket.or("")
	l.decodeListen(t)
}

func (l *loader) decodeListen(t *table) {
	const legal = `an IP address with a port, such as "127.0.0.1:9512" or "[::1]:9512"`
	listen := t.str("listen", legal)
	if !listen.good {
		return
	}
	var err error
	if l.api.Listen, err = netip.ParseAddrPort(listen.value); err != nil || l.api.Listen.Port() == 0 {
		what := problem{message: "not an address to listen on", legal: legal}
		if rest, ok := strings.CutPrefix(listen.value, "localhost:"); ok {
			what.suggestion = `"127.0.0.1:` + rest + `"`
		}
		l.found.add(listen.place, what)
		return
	}
	if !l.api.Listen.Addr().IsLoopback() {
		l.found.warn(listen.place, problem{message: "whoever reaches this address can read metrics and status, without a password"})
	}
}
