package facts

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/internal/netif"
)

var equateNetip = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

// As a little-endian kernel writes it.
const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B0200C0:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0B0200C0:0050 4D0200C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`

const udp6Table = `  sl  local_address                         remote_address                        st tx_queue
   0: B80D0120000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000
   1: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000
`

func TestParseListeners(t *testing.T) {
	tests := []struct {
		name, protocol, table string
		want                  []Listener
	}{
		{"tcp", "tcp", tcpTable, []Listener{
			{"tcp", netip.MustParseAddrPort("0.0.0.0:80")}, {"tcp", netip.MustParseAddrPort("192.0.2.11:443")},
		}},
		{"udp over IPv6", "udp", udp6Table, []Listener{
			{"udp", netip.MustParseAddrPort("[::]:53")}, {"udp", netip.MustParseAddrPort("[2001:db8::1]:53")},
		}},
		{"headings alone", "tcp", "  sl  local_address\n", nil},
		{"nothing", "tcp", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseListeners(tt.protocol, tt.table)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, equateNetip); d != "" {
				t.Errorf("listeners (-want +got):\n%s", d)
			}
		})
	}
}

func TestParseListenersRefusesWhatIsNoAddress(t *testing.T) {
	for _, at := range []string{"", "0050", "00000000", "0000:0050", "0000000g:0050", "00000000:10000", "000000000000:0050"} {
		table := "headings\n 0: " + at + " 00000000:0000 0A\n"
		if got, err := parseListeners("tcp", table); at != "" && (err == nil || !strings.Contains(err.Error(), "is no socket address")) {
			t.Errorf("%q: %v, %v, want an error about the address", at, got, err)
		}
	}
}

func FuzzParseListeners(f *testing.F) {
	f.Add(tcpTable)
	f.Add(udp6Table)
	f.Add("x\n 0: 00: 00 0A\n")
	f.Fuzz(func(t *testing.T, table string) {
		found, err := parseListeners("tcp", table)
		for _, l := range found {
			if err != nil || !l.At.IsValid() {
				t.Errorf("listener %v with error %v", l, err)
			}
		}
	})
}

func TestManagers(t *testing.T) {
	links := []netif.Link{{Name: "lo", Index: 1}, {Name: "eth0", Index: 2}, {Name: "eth1", Index: 3}, {Name: "eth2", Index: 4}}
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	files := fstest.MapFS{
		"run/systemd/netif/links/1":                     text("# This is private data.\nADMIN_STATE=unmanaged\n"),
		"run/systemd/netif/links/2":                     text("ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-lan.network\n"),
		"run/systemd/netif/links/3":                     text("ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/20.network\nNETWORK_FILE_DROPINS=\"/etc/systemd/network/20.network.d/a.conf\"\n"),
		"etc/systemd/network/10-lan.network":            text("[Match]\nName=eth0\n\n[Network]\n; KeepConfiguration=yes\nDHCP=no\n"),
		"etc/systemd/network/20.network":                text("[Network]\nKeepConfiguration = no\n"),
		"etc/systemd/network/20.network.d/a.conf":       text("[Network]\nKeepConfiguration=static\n"),
		"run/NetworkManager/devices/4":                  text("[device]\nmanaged=true\n"),
		"run/NetworkManager/devices/1":                  text("[device]\nmanaged=false\n"),
		"run/NetworkManager/devices/unrelated/whatever": text(""),
	}
	got, err := readManagers(files, links)
	if err != nil {
		t.Fatal(err)
	}
	want := Managers{Networkd: map[string]string{"eth0": "", "eth1": "static"}, NetworkManager: []string{"eth2"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("managers (-want +got):\n%s", d)
	}
}
