package doctor

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// nft loads rules in the ward's namespace.
func (w *ward) nft(rules string) { w.load(rules, "nft", "-f", "-") }

// load has a program of the firewall read rules.
func (w *ward) load(rules, program string, args ...string) {
	w.t.Helper()
	testenv.Root(w.t)
	path, err := exec.LookPath(program)
	if err != nil {
		if testenv.Required("firewall") {
			w.t.Fatalf("%s is required here: %v", program, err)
		}
		w.t.Skipf("needs %s: %v", program, err)
	}
	w.do(func() error {
		cmd := exec.Command(path, args...)
		cmd.Stdin = strings.NewReader(rules)
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.t.Logf("%s", out)
		}
		return err
	})
}

// tables loads a rule of iptables.
func tables(program, rule string) func(*ward) {
	return func(w *ward) {
		w.load("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"+rule+"\nCOMMIT\n", program)
	}
}

// closed is a firewall that lets nothing in but what the rules say.
func closed(rules string) string { return chain("input", "drop", rules) }

func chain(hook, policy, rules string) string {
	return "table inet f {\nchain c {\ntype filter hook " + hook + " priority 0; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

const (
	letVRRP    = "meta l4proto 112 accept\n"
	letWeb     = "tcp dport 80 accept\n"
	letReplies = "ct state established accept\n"
	letND      = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
	letPeers   = "udp dport 9513 accept\n"
	arpHead    = "table arp f {\nchain c {\ntype filter hook input priority 0;\n"
)

// checks gives a host's services checks.
func checks(host func(*testing.T, string) *ward) func(*testing.T, string) *ward {
	return func(t *testing.T, mode string) *ward {
		w := host(t, mode)
		w.cfg.Services[0].Checks = []config.Check{{Type: "http"}}
		return w
	}
}

func rules(text string) func(*ward) { return func(w *ward) { w.nft(text) } }

func TestFirewallsThatDropAreFound(t *testing.T) {
	native(t)
	playAll(t, firewallFaults)
}

var firewallFaults = []fault{
	{"all is let in that matters", checks(director), "dr", rules(closed(letVRRP + letND + letPeers + letWeb + letReplies)), nil, "", ""},
	{
		"adverts are dropped", checks(director), "dr", rules(closed(letND + letPeers + letWeb + letReplies)),
		[]string{"firewall-vrrp"}, "the firewall drops VRRP adverts that come in by eth0", "at the hook input: policy of chain c of table inet f",
	},
	{
		"own adverts are dropped", checks(director), "dr", rules(chain("output", "accept", "meta l4proto 112 drop")),
		[]string{"firewall-vrrp"}, "the firewall drops VRRP adverts that go out by eth0", "at the hook output: rule with handle",
	},
	{
		"adverts from somebody alone", checks(director), "dr", rules(closed("ip saddr 192.0.2.3 ip protocol 112 accept\nmeta nfproto ipv6 accept\n" + letPeers + letWeb + letReplies)),
		[]string{"firewall-unclear"}, "whether the firewall lets pass VRRP adverts that come in by eth0 is not clear", "at the hook input: rule with handle",
	},
	{
		"requests are dropped", checks(director), "dr", rules(closed(letVRRP + letND + letPeers + letReplies)),
		[]string{"firewall-service"}, "the firewall drops requests for 192.0.2.100:80 (service web)", "policy",
	},
	{
		"what is forwarded is dropped", checks(director), "dr", rules(chain("output", "accept", "ip daddr 192.0.2.100 drop")),
		[]string{"firewall-service"}, "the firewall drops what service web forwards to 192.0.2.11", "at the hook output: rule",
	},
	{
		"answers to checks are dropped", checks(director), "dr", rules(closed(letVRRP + letND + letPeers + letWeb)),
		[]string{"firewall-checks"}, "the firewall drops answers to checks of 192.0.2.11 (service web)", "policy",
	},
	{
		"checks are dropped", checks(director), "dr", rules(chain("output", "accept", "ip daddr 192.0.2.11 tcp dport 80 drop")),
		[]string{"firewall-checks"}, "the firewall drops checks of 192.0.2.11 (service web)", "rule",
	},
	{
		"replies by NAT are dropped", checks(director), "nat", rules(chain("forward", "drop", "")),
		[]string{"firewall-service"}, "the firewall drops replies of 192.0.2.11:80 (service web)", "at the hook forward: policy",
	},
	{
		"ARP for the VIP is dropped", checks(director), "dr", rules(arpHead + "arp daddr ip 192.0.2.100 drop\n}\n}\n"),
		[]string{"firewall-arp"}, "the firewall drops ARP requests for 192.0.2.100", "rule with handle",
	},
	{
		"requests are dropped by a real server", realServer, "dr", rules(closed("ip daddr 192.0.2.11 accept\n" + letND)),
		[]string{"firewall-service"}, "the firewall drops requests for 192.0.2.100:80 (service web)", "policy",
	},
	{"they are let in by another", realServer, "dr", rules(closed(letND + "ip daddr 192.0.2.100 accept\nip6 daddr 2001:db8::100 accept")), nil, "", ""},
	{
		"replies are dropped by a real server", realServer, "nat", rules(chain("output", "drop", letND)),
		[]string{"firewall-service"}, "the firewall drops replies from 192.0.2.11:80 (service web)", "policy",
	},
	{
		"ARP for a real server is dropped", realServer, "dr", rules(arpHead + "arp daddr ip 192.0.2.11 drop\n}\n}\n"),
		[]string{"firewall-arp"}, "the firewall drops ARP requests for 192.0.2.11", "rule with handle",
	},
	{
		"adverts are dropped by iptables", director, "dr", tables("iptables-nft-restore", "-A INPUT -p vrrp -j DROP"),
		[]string{"firewall-vrrp"}, "the firewall drops VRRP adverts that come in by eth0", "of chain INPUT of table ip filter",
	},
	{
		"adverts are dropped by iptables of old", director, "dr", tables("iptables-legacy-restore", "-A INPUT -p vrrp -j DROP"),
		[]string{"firewall-vrrp"}, "the firewall drops VRRP adverts that come in by eth0", "rule 1 of chain INPUT of table filter (iptables)",
	},
	{
		"requests of IPv6 are dropped by iptables of old", realServer, "dr", tables("ip6tables-legacy-restore", "-A INPUT -p tcp --dport 80 -j REJECT"),
		[]string{"firewall-service"}, "the firewall drops requests for [2001:db8::100]:80 (service web)", "rule 1 of chain INPUT of table filter (ip6tables)",
	},
	{
		"neighbour discovery is dropped", checks(director), "dr", rules(closed(letVRRP + letPeers + letWeb + letReplies)),
		[]string{"firewall-arp"}, "the firewall drops neighbour solicitations for 2001:db8::100", "at the hook input: policy",
	},
	{
		"adverts over IPv6 are dropped", director, "dr", rules(chain("input", "accept", "ip6 nexthdr 112 drop")),
		[]string{"firewall-vrrp"}, "the firewall drops VRRP adverts that come in by eth0", "rule with handle",
	},
	{
		"messages of directors are dropped", director, "dr", rules(chain("output", "accept", "udp dport 9513 drop")),
		[]string{"firewall-peers"}, "the firewall drops messages of directors that go out by eth0", "at the hook output: rule with handle",
	},
	{
		"connections are not told", syncing, "dr", rules(chain("input", "accept", "udp dport 8848 drop")),
		[]string{"firewall-sync"}, "the firewall drops connections that the other director tells", "at the hook input: rule with handle",
	},
	{
		"IP in IP is dropped", director, "tun", rules(chain("output", "accept", "ip protocol 4 drop")),
		[]string{"firewall-service"}, "the firewall drops what service web forwards to 192.0.2.11", "at the hook output: rule with handle",
	},
	{
		"GRE is dropped", director, "gre", rules(chain("output", "accept", "ip protocol gre drop")),
		[]string{"firewall-service"}, "the firewall drops what service web forwards to 192.0.2.11", "at the hook output: rule with handle",
	},
	{
		"GUE is dropped", director, "gue", rules(chain("output", "accept", "udp dport 6080 drop")),
		[]string{"firewall-service"}, "the firewall drops what service web forwards to 192.0.2.11", "at the hook output: rule with handle",
	},
	{
		"what IPVS hides is taken for invalid", untracked, "nat", rules(chain("forward", "accept", "ct state invalid drop")),
		[]string{"ipvs-conntrack"}, "the firewall asks for the state of connections that IPVS hides from it", "net.ipv4.vs.conntrack = 0, and rule",
	},
	{
		"only what is established passes", untracked, "nat", rules(chain("forward", "drop", "ct state established accept")),
		[]string{"ipvs-conntrack"}, "the firewall asks for the state of connections that IPVS hides from it", "policy of chain c of table inet f",
	},
	{
		"only what is established passes, and IPVS tracks", untracked, "nat",
		func(w *ward) {
			w.ipvs["conntrack"] = "1"
			w.nft(chain("forward", "drop", "ct state established accept"))
		},
		nil, "", "",
	},
	{"replies pass by their port", untracked, "nat", rules(chain("forward", "drop", "tcp sport 80 accept")), nil, "", ""},
}

// untracked is a director whose IPVS hides connections from connection tracking.
func untracked(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.ipvs = map[string]string{"conntrack": "0"}
	return w
}

// syncing is a director that tells its connections.
func syncing(t *testing.T, mode string) *ward {
	w := director(t, mode)
	w.cfg = syncingConfig(t, mode)
	return w
}

func syncingConfig(t *testing.T, mode string) *config.Config {
	return load(t, "d1", text(mode)+"[connection_sync]\ninterface = \"eth0\"\nid = 51\n")
}
