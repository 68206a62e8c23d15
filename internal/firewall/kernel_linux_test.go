package firewall

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

var (
	peer    = netip.MustParseAddr("192.0.2.3")
	own     = netip.MustParseAddr("192.0.2.2")
	vip     = netip.MustParseAddr("192.0.2.100")
	group   = netip.MustParseAddr("224.0.0.18")
	client  = netip.MustParseAddr("198.51.100.7")
	peer6   = netip.MustParseAddr("fe80::3")
	group6  = netip.MustParseAddr("ff02::12")
	advert  = Packet{In: "eth0", Source: peer, Destination: group, Protocol: 112, State: New}
	advert6 = Packet{In: "eth0", Source: peer6, Destination: group6, Protocol: 112, State: New}
	request = Packet{In: "eth0", Source: client, Destination: vip, Protocol: 6, SourcePort: 40000, Port: 80, State: New}
	anybody = Packet{In: "eth0", Source: client, AnySource: true, Destination: vip, Protocol: 6, SourcePort: 40000, Port: 80, State: New}
	reply   = Packet{In: "eth0", Source: peer, Destination: own, Protocol: 6, SourcePort: 80, Port: 40000, State: Established}
	whoHas  = Packet{In: "eth0", ARP: true, Source: client, Destination: vip}
)

// program returns the path of a program of the firewall, or skips.
func program(t *testing.T, name string) string {
	t.Helper()
	testenv.Root(t)
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if testenv.Required("firewall") {
		t.Fatalf("%s is required here: %v", name, err)
	}
	t.Skipf("needs %s: %v", name, err)
	return ""
}

// in runs a program in a new namespace and reads the rules there.
func in(t *testing.T, rules string, argv ...string) *Ruleset {
	t.Helper()
	ns := testenv.NewNetns(t)
	var read *Ruleset
	ns.Do(t, func() {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s\n%s", strings.Join(argv, " "), err, out, rules)
			return
		}
		var err error
		if read, err = Read(); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return read
}

// input is a chain at the hook input with rules and a policy.
func input(policy, rules string) string {
	return "table inet filter { set good { type ipv4_addr; flags interval; elements = { 192.0.2.0/28 } }\n" +
		"chain services { tcp dport 80 accept\n}\n" +
		"chain input { type filter hook input priority 0; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

func TestFollowThroughNFTables(t *testing.T) {
	nft := program(t, "nft")
	tests := []struct {
		name, rules string
		hook        Hook
		packet      Packet
		want        Fate
		rule        string // a part of it
	}{
		{"no rules", "", Input, advert, Passes, ""},
		{"a policy", input("drop", ""), Input, advert, Dropped, "policy of chain input of table inet filter"},
		{"a policy, over IPv6", input("drop", ""), Input, advert6, Dropped, "policy"},
		{"a policy and a rule by protocol", input("drop", "ip protocol 112 accept"), Input, advert, Passes, ""},
		{"a rule by meta", input("drop", "meta l4proto vrrp accept"), Input, advert6, Passes, ""},
		{"another protocol's rule", input("drop", "meta l4proto { tcp, udp } accept"), Input, advert, Dropped, "policy"},
		{"a rule that drops", input("accept", "ip protocol 112 drop"), Input, advert, Dropped, "rule with handle"},
		{"a rule that rejects", input("accept", "tcp dport 80 reject"), Input, request, Dropped, "rule with handle"},
		{"a set of ports", input("drop", "tcp dport { 22, 80, 443 } accept"), Input, request, Passes, ""},
		{"a range of ports", input("drop", "tcp dport 79-81 accept"), Input, request, Passes, ""},
		{"a range elsewhere", input("drop", "tcp dport 81-90 accept"), Input, request, Dropped, "policy"},
		{"a named set with intervals", input("drop", "ip saddr @good accept"), Input, advert, Passes, ""},
		{"outside of the set", input("drop", "ip saddr @good accept"), Input, request, Dropped, "policy"},
		{"outside, inverted", input("drop", "ip saddr != @good accept"), Input, request, Passes, ""},
		{"a prefix", input("drop", "ip daddr 192.0.2.96/28 accept"), Input, request, Passes, ""},
		{"a source, and the packet's is not known", input("drop", "ip saddr 198.51.100.0/24 accept"), Input, anybody, Unclear, "rule with handle"},
		{"a destination, and the packet's source is not known", input("drop", "ip daddr 192.0.2.100 accept"), Input, anybody, Passes, ""},
		{"an interface", input("drop", "iifname eth0 accept"), Input, request, Passes, ""},
		{"another interface", input("drop", "iifname eth1 accept"), Input, request, Dropped, "policy"},
		{"interfaces by pattern", input("drop", `iifname "eth*" accept`), Input, request, Passes, ""},
		{"what is established", input("drop", "ct state established,related accept"), Input, reply, Passes, ""},
		{"what is new", input("drop", "ct state established,related accept"), Input, request, Dropped, "policy"},
		{"a jump", input("drop", "jump services"), Input, request, Passes, ""},
		{"a jump that returns", input("drop", "jump services"), Input, advert, Dropped, "policy"},
		{"a verdict map", input("drop", "tcp dport vmap { 80 : jump services, 22 : drop }"), Input, request, Passes, ""},
		{"a verdict map that drops", input("accept", "tcp dport vmap { 80 : drop }"), Input, request, Dropped, "rule with handle"},
		{"what is not known, and might accept", input("drop", "meta skuid 0 accept"), Input, request, Unclear, "rule with handle"},
		{"what is not known, and might drop", input("accept", "limit rate over 1/second drop"), Input, request, Unclear, "rule with handle"},
		{"a later rule decides anyway", input("accept", "meta skuid 0 counter\ntcp dport 80 drop"), Input, request, Dropped, "rule with handle"},
		{"another hook", input("drop", ""), Output, request, Passes, ""},
		{"prerouting", "table ip raw { chain pre { type filter hook prerouting priority -300; ip protocol vrrp drop\n}\n}\n", Prerouting, advert, Dropped, "chain pre of table ip raw"},
		{"the other family", "table ip6 raw { chain pre { type filter hook prerouting priority -300; policy drop\n}\n}\n", Prerouting, advert, Passes, ""},
		{"ARP", "table arp filter { chain input { type filter hook input priority 0; policy drop\n}\n}\n", Input, whoHas, Dropped, "table arp filter"},
		{"ARP for another", "table arp filter { chain input { type filter hook input priority 0; arp daddr ip 192.0.2.99 drop\n}\n}\n", Input, whoHas, Passes, ""},
		{"ARP for it", "table arp filter { chain input { type filter hook input priority 0; arp daddr ip 192.0.2.100 drop\n}\n}\n", Input, whoHas, Dropped, "rule with handle"},
		{"a dormant table", "table inet filter { flags dormant; chain input { type filter hook input priority 0; policy drop\n}\n}\n", Input, advert, Passes, ""},
		{"two chains, of which the later drops", input("accept", "accept") + "\ntable inet late { chain input { type filter hook input priority 10; policy drop\n}\n}\n", Input, advert, Dropped, "table inet late"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := in(t, tt.rules, nft, "-f", "-").Follow(tt.hook, tt.packet)
			if got.Fate != tt.want || !strings.Contains(got.Rule, tt.rule) || (tt.rule == "") != (got.Rule == "") {
				t.Errorf("Follow = %+v, want %s by %q", got, tt.want, tt.rule)
			}
		})
	}
}

func TestFollowThroughIPTables(t *testing.T) {
	const head = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:svc - [0:0]\n"
	closed := strings.Replace(head, "INPUT ACCEPT", "INPUT DROP", 1)
	tests := []struct {
		name, rules string
		packet      Packet
		want        Fate
		rule        string
	}{
		{"nothing", head, advert, Passes, ""},
		{"a policy", closed, advert, Dropped, "policy of chain INPUT of table filter"},
		{"vrrp", closed + "-A INPUT -p vrrp -j ACCEPT\n", advert, Passes, ""},
		{"all but vrrp", closed + "-A INPUT ! -p vrrp -j ACCEPT\n", advert, Dropped, "policy"},
		{"a port", closed + "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n", request, Passes, ""},
		{"another port", closed + "-A INPUT -p tcp -m tcp --dport 81 -j ACCEPT\n", request, Dropped, "policy"},
		{"an address", head + "-A INPUT -s 198.51.100.0/24 -d 192.0.2.100 -j DROP\n", request, Dropped, "1 of chain INPUT of table filter"},
		{"another address", head + "-A INPUT -s 198.51.101.0/24 -j DROP\n", request, Passes, ""},
		{"a source, and the packet's is not known", closed + "-A INPUT -s 198.51.100.0/24 -j ACCEPT\n", anybody, Unclear, "1 of chain INPUT"},
		{"an interface", closed + "-A INPUT -i eth+ -j ACCEPT\n", request, Passes, ""},
		{"another interface", closed + "-A INPUT -i lo -j ACCEPT\n", request, Dropped, "policy"},
		{"a reject", head + "-A INPUT -p tcp -j REJECT\n", request, Dropped, "1 of chain INPUT"},
		{"what is established", closed + "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", reply, Passes, ""},
		{"what is new", closed + "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", request, Dropped, "policy"},
		{"a jump", closed + "-A INPUT -j svc\n-A svc -p tcp -m tcp --dport 80 -j ACCEPT\n", request, Passes, ""},
		{"a jump that returns", closed + "-A INPUT -j svc\n-A svc -p tcp -j RETURN\n-A svc -j ACCEPT\n", request, Dropped, "policy"},
		{"what is not known", head + "-A INPUT -p tcp -m length --length 100 -j DROP\n", request, Unclear, "1 of chain INPUT"},
	}
	for _, kind := range []string{"iptables-legacy-restore", "iptables-nft-restore"} {
		path := program(t, kind)
		for _, tt := range tests {
			t.Run(kind+"/"+tt.name, func(t *testing.T) {
				rule := tt.rule
				if kind == "iptables-nft-restore" {
					rule = strings.NewReplacer("1 of chain", "of chain", "table filter", "table ip filter").Replace(rule)
				}
				got := in(t, tt.rules+"COMMIT\n", path).Follow(Input, tt.packet)
				if got.Fate != tt.want || !strings.Contains(got.Rule, rule) || (rule == "") != (got.Rule == "") {
					t.Errorf("Follow = %+v, want %s by %q", got, tt.want, rule)
				}
			})
		}
	}
}

func TestFollowThroughIP6TablesOfOld(t *testing.T) {
	rules := "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -s fe80::/10 -p vrrp -i eth0 -j ACCEPT\nCOMMIT\n"
	r := in(t, rules, program(t, "ip6tables-legacy-restore"))
	if got := r.Follow(Input, advert6); got.Fate != Passes {
		t.Errorf("advert: %+v, want it to pass", got)
	}
	other := advert6
	other.In = "eth1"
	if got := r.Follow(Input, other); got.Fate != Dropped || !strings.Contains(got.Rule, "ip6tables") {
		t.Errorf("advert by another interface: %+v, want it dropped", got)
	}
	if got := r.Follow(Input, advert); got.Fate != Passes {
		t.Errorf("IPv4 advert: %+v, want it to pass", got)
	}
}

func TestFollowTellsTheMark(t *testing.T) {
	pre := func(priority, rules string) string {
		return "table ip t" + priority + " { chain c { type filter hook prerouting priority " + priority + ";\n" + rules + "\n}\nchain other { meta mark set 9\n}\n}\n"
	}
	nft, restore := []string{"nft", "-f", "-"}, []string{"iptables-nft-restore"}
	const mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n"
	old := []string{"iptables-legacy-restore"}
	tests := []struct {
		name, rules string
		argv        []string
		want        uint32
		by          string
		unclear     bool
	}{
		{"none", pre("0", ""), nft, 0, "", false},
		{"set", pre("0", "tcp dport 80 meta mark set 7"), nft, 7, "rule with handle", false},
		{"set, and accepted", pre("0", "tcp dport 80 meta mark set 7 accept"), nft, 7, "rule with handle", false},
		{"of another port", pre("0", "tcp dport 81 meta mark set 7"), nft, 0, "", false},
		{"shadowed by a later chain", pre("0", "tcp dport 80 meta mark set 7") + pre("10", "meta mark set 8"), nft, 8, "table ip t10", false},
		{"asked for", pre("0", "meta mark set 7") + pre("10", "meta mark 7 meta mark set 8"), nft, 8, "table ip t10", false},
		{"set in another chain", pre("0", "jump other"), nft, 9, "chain other", false},
		{"perhaps set", pre("0", "meta mark set 7\nip saddr 198.51.100.0/24 meta mark set 8"), nft, 7, "rule with handle", true},
		{"perhaps set in another chain", pre("0", "ip saddr 198.51.100.0/24 jump other"), nft, 0, "chain other", true},
		{"set by what is not known", pre("0", "meta mark set ct mark"), nft, 0, "rule with handle", true},
		{"and for certain after that", pre("0", "meta mark set ct mark\nmeta mark set 7"), nft, 7, "rule with handle", false},
		{"by iptables", mangle + "-A PREROUTING -p tcp -m tcp --dport 80 -j MARK --set-mark 7\nCOMMIT\n", restore, 7, "PREROUTING", false},
		{"some bits, by iptables of old", mangle + "-A PREROUTING -j MARK --set-mark 7\n-A PREROUTING -j MARK --set-xmark 0x10/0x1\nCOMMIT\n", old, 0x16, "rule 2 of chain PREROUTING", false},
		{"of the connection", mangle + "-A PREROUTING -j CONNMARK --restore-mark\nCOMMIT\n", restore, 0, "PREROUTING", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			argv := append([]string{program(t, tt.argv[0])}, tt.argv[1:]...)
			got := in(t, tt.rules, argv...).Follow(Prerouting, anybody)
			if m := got.Mark; got.Fate != Passes || m.Value != tt.want || m.Unclear != tt.unclear || !strings.Contains(m.By, tt.by) || (tt.by == "") != (m.By == "") {
				t.Errorf("Follow = %+v, want mark %d by %q, unclear %v", got, tt.want, tt.by, tt.unclear)
			}
		})
	}
}

func TestFollowKnowsTheTypeOfICMP(t *testing.T) {
	solicitation := Packet{In: "eth0", Source: peer6, Destination: group6, Protocol: 58, Type: 135, State: Untracked}
	nft := program(t, "nft")
	for rules, want := range map[string]Fate{
		"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept": Passes,
		"icmpv6 type nd-router-advert accept":                            Dropped,
		"ct state untracked accept":                                      Passes,
	} {
		if got := in(t, input("drop", rules), nft, "-f", "-").Follow(Input, solicitation); got.Fate != want {
			t.Errorf("%s: %+v, want %s", rules, got, want)
		}
	}
}
