package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/netif"
)

// clusterText is the configuration of the tests, in both families; MODE is replaced.
const clusterText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24", "2001:db8::100/64"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80", "[2001:db8::100]:80"]
forward = "MODE"
[[service.real]]
address = "192.0.2.11"
[[service.real]]
address = "2001:db8::11"
`

// tunnelText is the same for tunnels, which carry IPv4.
const tunnelText = `
[[vrrp]]
name      = "edge"
interface = "eth0"
router_id = 51
priority  = { d1 = 150, d2 = 100 }
addresses = ["192.0.2.100/24"]

[[service]]
name    = "web"
listen  = ["192.0.2.100:80"]
forward = "tun"
TUNNEL
[[service.real]]
address = "192.0.2.11"
`

// text is the configuration by a mode: "dr", "nat", "tun", "tun6" of both families,
// or a type of tunnel.
func text(mode string) string {
	switch mode {
	case "dr", "nat":
		return strings.Replace(clusterText, "MODE", mode, 1)
	case "tun6":
		return strings.Replace(clusterText, "MODE", "tun", 1)
	case "tun":
		return strings.Replace(tunnelText, "TUNNEL", "", 1)
	}
	port := ""
	if mode == "gue" {
		port = ", port = 6080"
	}
	return strings.Replace(tunnelText, "TUNNEL", `tunnel = { type = "`+mode+`"`+port+` }`, 1)
}

func load(t *testing.T, node, text string) *config.Config {
	t.Helper()
	cfg, err := config.LoadTexts([]config.Text{{Name: "haldir.toml", Text: text}}, config.Options{Node: node})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// realServer is a healthy real server of web, by the mode.
func realServer(t *testing.T, mode string) *ward {
	w := newWard(t, "rs1", mode)
	w.cable("eth0", "192.0.2.11/24", "2001:db8::11/64")
	routers := []string{"192.0.2.1", "2001:db8::1"}
	if mode == "nat" {
		routers = []string{"192.0.2.100", "2001:db8::100"}
	} else {
		w.sysctl("net/ipv4/conf/all/arp_ignore", "1")
		w.sysctl("net/ipv4/conf/all/arp_announce", "2")
		silence := []netif.Silence{{Address: netip.MustParseAddr("192.0.2.100")}}
		w.do(func() error { return netif.SetSilences(t.Context(), silence) })
		w.address("lo", "192.0.2.100/32")
		if mode == "dr" || mode == "tun6" {
			w.address("lo", "2001:db8::100/128")
		}
	}
	for _, r := range routers {
		w.route(r, "eth0")
	}
	w.listen(":80")
	return w
}

// director is a healthy one whose daemon runs, and is backup.
func director(t *testing.T, mode string) *ward {
	w := newWard(t, "d1", mode)
	w.cable("eth0", "192.0.2.2/24", "2001:db8::2/64")
	w.route("192.0.2.1", "eth0")
	w.route("2001:db8::1", "eth0")
	w.role("backup")
	if mode == "nat" {
		w.sysctl("net/ipv4/conf/eth0/forwarding", "1")
		w.sysctl("net/ipv6/conf/eth0/accept_ra", "2")
		w.sysctl("net/ipv6/conf/all/forwarding", "1")
	}
	return w
}

// master is a director that holds the addresses.
func master(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.role("master")
	for _, v := range w.cfg.VRRP[0].Addresses {
		w.tagged("eth0", v.String(), netif.Protocol)
	}
	return w
}

// twoBox is a director that is a real server as well, and is backup.
func twoBox(t *testing.T, mode string) *ward {
	w := realServer(t, mode)
	w.cfg = load(t, "d1", text(mode))
	w.role("backup")
	// As the master it has to answer.
	w.do(func() error { return netif.SetSilences(t.Context(), nil) })
	return w
}

// twoBoxMaster has the addresses on the interface and on lo.
func twoBoxMaster(t *testing.T, mode string) *ward {
	w := twoBox(t, mode)
	w.role("master")
	for _, v := range w.cfg.VRRP[0].Addresses {
		w.tagged("eth0", v.String(), netif.Protocol)
	}
	return w
}

// bystander is a host in the segment that has no part in the cluster.
func bystander(t *testing.T, mode string) *ward {
	w := newWard(t, "desk", mode)
	w.cable("eth0", "192.0.2.77/24", "2001:db8::77/64")
	return w
}

// role has the daemon say that it has a role, in both families.
func (w *ward) role(state string) {
	w.status = &control.Status{}
	for _, v := range w.cfg.Routers() {
		w.status.Routers = append(w.status.Routers, control.RouterStatus{Name: v.Name, State: state, Interface: v.Interface, VRID: v.RouterID})
	}
}
