package doctor

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// nft loads rules in the ward's namespace.
func (w *ward) nft(rules string) {
	w.t.Helper()
	testenv.Root(w.t)
	path, err := exec.LookPath("nft")
	if err != nil {
		if testenv.Required("firewall") {
			w.t.Fatalf("nft is required here: %v", err)
		}
		w.t.Skipf("needs nft: %v", err)
	}
	w.do(func() error {
		cmd := exec.Command(path, "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		out, err := cmd.CombinedOutput()
		if err != nil {
			w.t.Logf("%s", out)
		}
		return err
	})
}

// closed is a firewall that lets nothing in but what the rules say.
func closed(rules string) string { return chain("input", "drop", rules) }

func chain(hook, policy, rules string) string {
	return "table inet f {\nchain c {\ntype filter hook " + hook + " priority 0; policy " + policy + ";\n" + rules + "\n}\n}\n"
}

func checked(w *ward) *ward {
	w.cfg.Services[0].Checks = []config.Check{{Type: "http"}}
	return w
}

func TestFirewallsThatDropAreFound(t *testing.T) {
	const (
		vrrp    = "ip protocol 112 accept\n"
		web     = "tcp dport 80 accept\n"
		replies = "ct state established accept\n"
		arpHead = "table arp f {\nchain c {\ntype filter hook input priority 0;\n"
	)
	tests := []struct {
		name, rules string
		host        func(*testing.T, string) *ward
		mode        string
		want        []string
		title, by   string
	}{
		{"all is let in that matters", closed(vrrp + web + replies), director, "dr", nil, "", ""},
		{"adverts are dropped", closed(web + replies), director, "dr", []string{"firewall-vrrp"},
			"the firewall drops VRRP adverts that come in by eth0", "at the hook input: policy of chain c of table inet f"},
		{"own adverts are dropped", chain("output", "accept", "ip protocol 112 drop"), director, "dr", []string{"firewall-vrrp"},
			"the firewall drops VRRP adverts that go out by eth0", "at the hook output: rule with handle"},
		{"adverts from somebody alone", closed("ip saddr 192.0.2.3 ip protocol 112 accept\n" + web + replies), director, "dr", []string{"firewall-unclear"},
			"whether the firewall lets pass VRRP adverts that come in by eth0 is not clear", "at the hook input: rule with handle"},
		{"requests are dropped", closed(vrrp + replies), director, "dr", []string{"firewall-service"},
			"the firewall drops requests for 192.0.2.100:80 (service web)", "policy"},
		{"what is forwarded is dropped", chain("output", "accept", "ip daddr 192.0.2.100 drop"), director, "dr", []string{"firewall-service"},
			"the firewall drops what service web forwards to 192.0.2.11", "at the hook output: rule"},
		{"answers to checks are dropped", closed(vrrp + web), director, "dr", []string{"firewall-checks"},
			"the firewall drops answers to checks of 192.0.2.11 (service web)", "policy"},
		{"checks are dropped", chain("output", "accept", "ip daddr 192.0.2.11 tcp dport 80 drop"), director, "dr", []string{"firewall-checks"},
			"the firewall drops checks of 192.0.2.11 (service web)", "rule"},
		{"replies by NAT are dropped", chain("forward", "drop", ""), director, "nat", []string{"firewall-service"},
			"the firewall drops replies of 192.0.2.11:80 (service web)", "at the hook forward: policy"},
		{"ARP for the VIP is dropped", arpHead + "arp daddr ip 192.0.2.100 drop\n}\n}\n", director, "dr", []string{"firewall-arp"},
			"the firewall drops ARP requests for 192.0.2.100", "rule with handle"},
		{"requests are dropped by a real server", closed("ip daddr 192.0.2.11 accept"), realServer, "dr", []string{"firewall-service"},
			"the firewall drops requests for 192.0.2.100:80 (service web)", "policy"},
		{"they are let in by another", closed("ip daddr 192.0.2.100 accept"), realServer, "dr", nil, "", ""},
		{"replies are dropped by a real server", chain("output", "drop", ""), realServer, "nat", []string{"firewall-service"},
			"the firewall drops replies from 192.0.2.11:80 (service web)", "policy"},
		{"ARP for a real server is dropped", arpHead + "arp daddr ip 192.0.2.11 drop\n}\n}\n", realServer, "dr", []string{"firewall-arp"},
			"the firewall drops ARP requests for 192.0.2.11", "rule with handle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := checked(tt.host(t, tt.mode))
			w.nft(tt.rules)
			found := w.expect(tt.want...)
			if len(found) > 0 && (found[0].Title != tt.title || !strings.Contains(found[0].Evidence, tt.by)) {
				t.Errorf("title = %q, evidence = %q, want %q by %q", found[0].Title, found[0].Evidence, tt.title, tt.by)
			}
		})
	}
}

func TestAFirewallThatAsksForTheStateOfWhatIPVSHidesIsFound(t *testing.T) {
	for _, tt := range []struct {
		name, rules, conntrack string
		want                   []string
	}{
		{"invalid is dropped", chain("forward", "accept", "ct state invalid drop"), "0", []string{"ipvs-conntrack"}},
		{"only established passes", chain("forward", "drop", "ct state established accept"), "0", []string{"ipvs-conntrack"}},
		{"IPVS tracks", chain("forward", "drop", "ct state established accept"), "1", nil},
		{"by port", chain("forward", "drop", "tcp sport 80 accept"), "0", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := director(t, "nat")
			w.ipvs = map[string]string{"conntrack": tt.conntrack}
			w.nft(tt.rules)
			w.expect(tt.want...)
		})
	}
}
