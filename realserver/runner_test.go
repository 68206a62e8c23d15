package realserver

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/netif"
)

func TestApplyAndRemoveInOrder(t *testing.T) {
	const conf = "net/ipv4/conf/"
	tests := []struct {
		name, forward  string
		apply, removal []string
	}{
		{
			"dr", "dr",
			[]string{
				conf + "all/arp_announce = 2", conf + "all/arp_ignore = 1",
				conf + "eth0/arp_announce = 2", conf + "eth0/arp_ignore = 1",
				"silences [about 192.0.2.100]",
				"+ 192.0.2.100/32 on lo",
			},
			[]string{
				"- 192.0.2.100/32 on lo",
				"silences []",
				conf + "eth0/arp_ignore = 0", conf + "eth0/arp_announce = 1",
				conf + "all/arp_ignore = 0", conf + "all/arp_announce = 0",
			},
		},
		{
			"tun", "tun",
			[]string{
				"tunl0 MTU 1480", "tunl0 up",
				conf + "all/arp_announce = 2", conf + "all/arp_ignore = 1",
				conf + "eth0/arp_announce = 2", conf + "eth0/arp_ignore = 1", conf + "tunl0/rp_filter = 2",
				"silences [about 192.0.2.100]", "clamps [192.0.2.100:80 to 1440]",
				"+ 192.0.2.100/32 on tunl0",
			},
			[]string{
				"- 192.0.2.100/32 on tunl0",
				"clamps []", "silences []",
				"tunl0 down", "tunl0 MTU 1476",
				conf + "tunl0/rp_filter = 1", conf + "eth0/arp_ignore = 0", conf + "eth0/arp_announce = 1",
				conf + "all/arp_ignore = 0", conf + "all/arp_announce = 0",
			},
		},
		{
			"nat", "nat",
			[]string{conf + "all/accept_redirects = 0", conf + "eth0/accept_redirects = 0"},
			[]string{conf + "eth0/accept_redirects = 1", conf + "all/accept_redirects = 1"},
		},
		{
			"redirect", "redirect",
			[]string{"redirects [tcp 192.0.2.100:80 to port 8080]"},
			[]string{"redirects []"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			before := b.String()
			wanted := service("web", tt.forward, "192.0.2.100:80", "192.0.2.11")
			wanted.Protocol = "tcp"
			if tt.forward == "redirect" {
				wanted = redirected("web", "192.0.2.100:80", "192.0.2.11", 8080)
			}
			state := desired(t, wanted)
			if err := b.Apply(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.apply, b.changes); d != "" {
				t.Errorf("apply (-want +got):\n%s", d)
			}
			b.changes = nil
			if err := b.Apply(t.Context(), state); err != nil || len(b.changes) != 0 {
				t.Errorf("the second apply: %v, changes %q, want none", err, b.changes)
			}
			b.expectUndone(before)
			if d := cmp.Diff(tt.removal, b.changes); d != "" {
				t.Errorf("remove (-want +got):\n%s", d)
			}
			b.changes = nil
			if err := b.Remove(t.Context()); err != nil || len(b.changes) != 0 {
				t.Errorf("the second remove: %v, changes %q, want none", err, b.changes)
			}
		})
	}
}

func TestApplyTakesAwayWhatIsNoLongerWanted(t *testing.T) {
	b := newBench(t)
	before := b.String()
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	dr := desired(t, service("dr", "dr", "192.0.2.101:80", "192.0.2.11"))
	if err := b.Apply(t.Context(), dr); err != nil {
		t.Fatal(err)
	}
	want := newBench(t)
	if err := want.Apply(t.Context(), dr); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), b.String()); d != "" {
		t.Errorf("after the second apply (-want +got):\n%s", d)
	}
	b.expectUndone(before)
}

// Without rules for ARP there is one lock, and that is said.
func TestAKernelWithoutARPRulesServesNevertheless(t *testing.T) {
	b := newBench(t)
	b.noARP = true
	before := b.String()
	state := desired(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	if err := b.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	findings, err := b.Verify(t.Context(), state)
	want := Finding{Item: "ARP silence about 192.0.2.100", Want: "in force", Got: "not possible with this kernel", OK: true, Services: []string{"web"}}
	if err != nil || !slices.ContainsFunc(findings, func(f Finding) bool { return cmp.Equal(f, want) }) {
		t.Errorf("findings %+v (%v), want among them %+v", findings, err, want)
	}
	b.expectUndone(before)
}

func TestAStricterValueIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.someoneSets("net/ipv4/conf/eth0/arp_ignore", "2")
	before := b.String()
	state := desired(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	if err := b.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if got := b.sysctls["net/ipv4/conf/eth0/arp_ignore"]; got != "2" {
		t.Errorf("arp_ignore = %s, want the 2 that was there", got)
	}
	b.expectUndone(before)
}

func TestAForeignAddressStopsApplyBeforeAnyChange(t *testing.T) {
	tests := []struct {
		name string
		has  netif.PresentAddress
		want string
	}{
		{"by hand on lo", present("lo", "192.0.2.100/32", 0),
			"setting up the real server: 192.0.2.100 is on lo already as 192.0.2.100/32, and haldir did not put it there; " +
				"nothing was changed (remedy: find out who did, then: ip address del 192.0.2.100/32 dev lo)"},
		{"with the network's mask on lo", present("lo", "192.0.2.100/24", 0),
			"setting up the real server: 192.0.2.100 is on lo already as 192.0.2.100/24, and haldir did not put it there; " +
				"nothing was changed (remedy: find out who did, then: ip address del 192.0.2.100/24 dev lo)"},
		{"on the interface", present("eth0", "192.0.2.100/24", 0),
			"setting up the real server: 192.0.2.100 is on eth0 already as 192.0.2.100/24, and haldir did not put it there; " +
				"nothing was changed (remedy: find out who did, then: ip address del 192.0.2.100/24 dev eth0)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.addresses = append(b.addresses, tt.has)
			err := b.Apply(t.Context(), everyMode(t))
			var foreign *ForeignAddressError
			if !errors.As(err, &foreign) || foreign.Has != tt.has || err.Error() != tt.want {
				t.Errorf("error = %v\nwant    %s", err, tt.want)
			}
			if len(b.changes) != 0 || b.files() != nil {
				t.Errorf("changes %q and files %q, want none", b.changes, b.files())
			}
		})
	}
}

func TestAVIPOfTheDirectorOfThisHostIsNoObstacle(t *testing.T) {
	b := newBench(t)
	held := present("eth0", "192.0.2.100/24", netif.Protocol)
	b.addresses = append(b.addresses, held)
	before := b.String()
	state := everyMode(t)
	state.Directs = true
	if err := b.Apply(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	// The role is lost, and won again.
	for range 2 {
		b.addresses = slices.DeleteFunc(b.addresses, func(p netif.PresentAddress) bool { return p == held })
		if err := b.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		b.addresses = append(b.addresses, held)
		if err := b.Apply(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	b.expectUndone(before)
}

func TestAFailedFirstApplyLeavesTheHostAsItWas(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(b bench)
		want  string
	}{
		{"/proc/sys is read-only", func(b bench) { b.readOnly = true }, "read-only file system"},
		{"no ipip in the kernel", func(b bench) { b.noIPIP = true }, "remedy: load the kernel module ipip"},
		{"an address is refused", func(b bench) { b.addError = &netif.PrivilegeError{Err: errors.New("operation not permitted")} },
			"adding address 192.0.2.100/32 on lo: operation not permitted (needs root or the capability CAP_NET_ADMIN)"},
		{"the interface has vanished", func(b bench) { b.vanish("eth0") }, "reading sysctl net/ipv4/conf/eth0/accept_redirects: file does not exist"},
		{"lo is down", func(b bench) { b.links["lo"] = netif.Tunnel{Name: "lo", Exists: true} },
			"interface lo: it should be up and is down (remedy: ip link set lo up)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			tt.spoil(b)
			before := b.String()
			err := b.Apply(t.Context(), everyMode(t))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
			if d := cmp.Diff(before, b.String()); d != "" {
				t.Errorf("the host (-before +after):\n%s", d)
			}
			if left := b.files(); len(left) != 0 {
				t.Errorf("files %q are left", left)
			}
		})
	}
}

// vanish takes away an interface with its sysctls.
func (f *fake) vanish(ifname string) {
	for path := range f.sysctls {
		if strings.HasPrefix(path, "net/ipv4/conf/"+ifname+"/") {
			delete(f.sysctls, path)
		}
	}
}

func TestAStateDirThatCannotBeMadeStopsApplyBeforeAnyChange(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.StateDir = filepath.Join(file, "run")
	err := b.Apply(t.Context(), everyMode(t))
	if err == nil || !strings.Contains(err.Error(), "making the directory for undo records") {
		t.Errorf("error = %v, want one about the directory", err)
	}
	if len(b.changes) != 0 {
		t.Errorf("changes %q, want none", b.changes)
	}
}

func TestAFailedLaterApplyLeavesWhatWorks(t *testing.T) {
	dr := desired(t, service("web", "dr", "192.0.2.100:80", "192.0.2.11"))
	tests := []struct {
		name    string
		earlier State
		before  func(b bench)
	}{
		{"a VIP", dr, func(bench) {}},
		{"a VIP whose records are lost", dr, func(b bench) { b.forget() }},
		{"sysctls alone", natOnly(t), func(bench) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			if err := b.Apply(t.Context(), tt.earlier); err != nil {
				t.Fatal(err)
			}
			tt.before(b)
			b.addError = errors.New("no memory")
			err := b.Apply(t.Context(), everyMode(t))
			if err == nil || !strings.Contains(err.Error(), "no memory") {
				t.Errorf("error = %v, want the kernel's", err)
			}
			findings, err := b.Verify(t.Context(), State{Sysctls: tt.earlier.Sysctls, Addresses: tt.earlier.Addresses})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				if !f.OK && f.Want != absent {
					t.Errorf("what worked before does no longer: %+v", f)
				}
			}
		})
	}
}

// forget loses the records; what was before is from then on what is now.
func (b bench) forget() {
	if err := os.RemoveAll(b.StateDir); err != nil {
		b.t.Fatal(err)
	}
	b.original = maps.Clone(b.sysctls)
}

func TestRemoveDoesNotTouchWhatOthersMade(t *testing.T) {
	b := newBench(t)
	var log strings.Builder
	b.Log = slog.New(slog.NewTextHandler(&log, nil))
	others := []netif.PresentAddress{
		present("eth0", "192.0.2.200/24", netif.Protocol), // the director's
		present("lo", "192.0.2.201/32", 0),                // somebody's
	}
	b.someoneSets("net/ipv4/conf/all/arp_ignore", "1") // for their VIP
	b.someoneSets("net/ipv4/conf/all/arp_announce", "2")
	b.addresses = append(b.addresses, others...)
	before := b.String()
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	b.sysctls["net/ipv4/conf/eth0/arp_announce"] = "0" // after us
	if err := b.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := `msg="sysctl left as somebody else set it" sysctl=net/ipv4/conf/eth0/arp_announce value=0 earlier=1`; !strings.Contains(log.String(), want) {
		t.Errorf("log = %s\nwant %s in it", log.String(), want)
	}
	b.sysctls["net/ipv4/conf/eth0/arp_announce"] = "1"
	if d := cmp.Diff(before, b.String()); d != "" {
		t.Errorf("the rest of the host (-before +after):\n%s", d)
	}
}

func TestRemoveKeepsATunnelThatOthersUseByNow(t *testing.T) {
	b := newBench(t)
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(b.addresses)
	theirs := present("tunl0", "10.9.0.1/24", 0)
	b.addresses = append(b.addresses, theirs)
	err := b.Remove(t.Context())
	want := "undoing the real server: setting tunl0 down: it has 10.9.0.1/24, which haldir did not put there " +
		"(remedy: ip address del 10.9.0.1/24 dev tunl0, or leave it as it is)"
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	if !b.links["tunl0"].Up {
		t.Error("tunl0 is down")
	}
	if len(before) == len(b.addresses) {
		t.Error("the VIPs are still there")
	}
}

func TestRemoveLeavesATunnelThatWasUpBefore(t *testing.T) {
	b := newBench(t)
	b.links["tunl0"] = netif.Tunnel{Name: "tunl0", Exists: true, Up: true}
	b.addresses = append(b.addresses, present("tunl0", "10.9.0.1/24", 0))
	before := b.String()
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	b.expectUndone(before)
}

func TestRemoveTakesAwayWhatAKillLeftOfARecord(t *testing.T) {
	b := newBench(t)
	before := b.String()
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.file(tunnelRecord+".new"), []byte(`{"ver`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.expectUndone(before)
}

func TestRemoveKeepsVIPsHiddenThatDoNotGo(t *testing.T) {
	b := newBench(t)
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	b.changes = nil
	b.delError = errors.New("device busy")
	err := b.Remove(t.Context())
	if err == nil || !strings.Contains(err.Error(), "removing address 192.0.2.100/32 on lo: device busy") {
		t.Errorf("error = %v, want the kernel's", err)
	}
	if len(b.changes) != 0 {
		t.Errorf("changes = %q, want none", b.changes)
	}
}

func TestATunnelRecordThatCannotBeTrusted(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"torn", `{"version":2,"bo`, "is damaged, so how the tunnels were before is not known (remedy: look at them with ip link, then delete it): unexpected end of JSON input"},
		{"of another version", `{"version":9}`, "is damaged, so how the tunnels were before is not known (remedy: look at them with ip link, then delete it): its version is 9, not 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			if err := os.MkdirAll(b.StateDir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(b.file(tunnelRecord), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := b.Apply(t.Context(), everyMode(t))
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant    …%s", err, tt.want)
			}
			if len(b.changes) != 0 {
				t.Errorf("changes = %q, want none", b.changes)
			}
		})
	}
}

func TestATunnelRecordFromBeforeARebootIsIgnored(t *testing.T) {
	b := newBench(t)
	if err := b.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	rebooted := newBench(t)
	rebooted.StateDir, rebooted.record = b.StateDir, b.record
	if err := os.Remove(b.record); err != nil { // netif's own business
		t.Fatal(err)
	}
	rebooted.someoneSets("kernel/random/boot_id", "boot-2")
	rebooted.links["tunl0"] = netif.Tunnel{Name: "tunl0", Exists: true, Up: true} // by the system's configuration
	before := rebooted.String()
	if err := rebooted.Apply(t.Context(), everyMode(t)); err != nil {
		t.Fatal(err)
	}
	rebooted.expectUndone(before)
}

func TestApplyStopsWithItsContextAndUndoes(t *testing.T) {
	b := newBench(t)
	before := b.String()
	ctx, cancel := context.WithCancel(t.Context())
	b.onChange = cancel // at the first of them
	if err := b.Apply(ctx, everyMode(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
	if d := cmp.Diff(before, b.String()); d != "" {
		t.Errorf("the host (-before +after):\n%s", d)
	}
}
