package realserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The set-up by hand in docs/realserver.md is what Desired derives.
func TestTheDocumentedSetUpIsTheDerivedOne(t *testing.T) {
	if _, err := os.Stat("../go.mod"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this test binary runs outside the source tree")
	}
	page, err := os.ReadFile("../docs/realserver.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"dr", "tun", "nat", "Redirect"} {
		t.Run(mode, func(t *testing.T) {
			title := strings.ToUpper(mode)
			wanted := service("web", mode, "192.0.2.100:80", "192.0.2.11")
			wanted.Protocol = "tcp"
			if mode == "Redirect" {
				title, wanted = mode, redirected("web", "192.0.2.100:80", "192.0.2.11", 8080)
			}
			_, section, _ := strings.Cut(string(page), "\n### "+title+"\n")
			_, section, _ = strings.Cut(section, "```sh\n")
			commands, _, found := strings.Cut(section, "```")
			if !found {
				t.Fatalf("no commands under ### %s", title)
			}
			state := desired(t, wanted)
			var want []string
			for _, s := range state.Sysctls {
				want = append(want, "sysctl -w "+strings.ReplaceAll(s.Path, "/", ".")+"="+s.Value)
			}
			for _, a := range state.Addresses {
				want = append(want, "ip address add "+a.Prefix.String()+" dev "+a.Interface+" scope host")
			}
			for _, tunnel := range state.Tunnels {
				want = append(want, "ip link set "+tunnel.Name+" up")
			}
			for _, r := range state.Redirects {
				want = append(want, fmt.Sprintf("nft add rule inet haldir_realserver prerouting ip daddr %s %s dport %d fib daddr . iif type != local redirect to :%d",
					r.Address, r.Protocol, r.Port, r.To))
			}
			for _, silence := range state.Silences {
				if rule := "nft add rule arp haldir_realserver output arp saddr ip " + silence.Address.String() + " drop"; !strings.Contains(string(page), rule) {
					t.Errorf("the page lacks %q", rule)
				}
			}
			for _, clamp := range state.Clamps {
				rule := fmt.Sprintf("nft add rule inet haldir_mss postrouting ip saddr %s tcp sport %d tcp flags syn / syn,rst tcp option maxseg size set %d",
					clamp.Address, clamp.Port, clamp.MSS)
				if !strings.Contains(string(page), rule) {
					t.Errorf("the page lacks %q", rule)
				}
			}
			got := regexp.MustCompile(`(?m)^(sysctl|ip address|ip link|nft add rule) .*$`).FindAllString(commands, -1)
			slices.Sort(want)
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("commands (-derived +documented):\n%s", d)
			}
		})
	}
}
