package vrrpsock_test

import (
	"fmt"
	"strings"

	"github.com/haldir-lb/haldir/vrrp"
)

// keepalivedConf says in keepalived's language what cfg says in ours.
func keepalivedConf(cfg vrrp.RouterConfig, priority uint8) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	block := func(name string, lines ...string) {
		line("\t%s {\n\t\t%s\n\t}", name, strings.Join(lines, "\n\t\t"))
	}
	version := cfg.Version
	if version == 0 {
		version = 3
	}
	line("global_defs {\n\tvrrp_version %d\n}", version)
	line("vrrp_instance edge {\n\tstate BACKUP\n\tinterface eth0\n\tvirtual_router_id %d\n\tpriority %d\n\tadvert_int %.2f",
		cfg.VRID, priority, cfg.Interval.Seconds())
	if cfg.Family() == vrrp.IPv6 {
		line("\tnative_ipv6")
	}
	if cfg.Authentication != "" {
		block("authentication", "auth_type PASS", "auth_pass "+cfg.Authentication)
	}
	if len(cfg.Peers) > 0 {
		var peers []string
		for _, p := range cfg.Peers {
			peers = append(peers, p.String())
		}
		block("unicast_peer", peers...)
	}
	var addresses []string
	for _, a := range cfg.Addresses {
		bits := 24
		if a.Is6() {
			bits = 64
		}
		addresses = append(addresses, fmt.Sprintf("%v/%d", a, bits))
	}
	block("virtual_ipaddress", addresses...)
	line("}")
	return []byte(b.String())
}
