package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// fourConnections is a kernel's table.
func fourConnections(_ context.Context, fn func(ipvsctl.Connection) bool) error {
	at := netip.MustParseAddrPort
	for _, c := range []ipvsctl.Connection{
		{Protocol: ipvsctl.TCP, Client: at("198.51.100.2:36156"), Virtual: at("192.0.2.100:80"), Dest: at("192.0.2.11:8080"), State: "ESTABLISHED", Expires: 899 * time.Second},
		{Protocol: ipvsctl.TCP, Client: at("198.51.100.3:36156"), Virtual: at("192.0.2.100:80"), Dest: at("192.0.2.12:8080"), State: "FIN_WAIT", Expires: time.Minute},
		{Protocol: ipvsctl.TCP, Client: at("198.51.100.2:0"), Virtual: at("192.0.2.100:80"), Dest: at("192.0.2.11:8080"), State: "NONE", Expires: 295 * time.Second},
		{Protocol: ipvsctl.UDP, Client: at("203.0.113.7:36156"), Virtual: at("192.0.2.101:53"), Dest: at("192.0.2.11:53"), State: "UDP", Expires: 298 * time.Second, Learned: true},
	} {
		if !fn(c) {
			break
		}
	}
	return nil
}

func TestPrintConnections(t *testing.T) {
	all := strings.Split(`tcp  198.51.100.2:36156       192.0.2.100:80           192.0.2.11:8080          ESTABLISHED  14m59s
tcp  198.51.100.3:36156       192.0.2.100:80           192.0.2.12:8080          FIN_WAIT     1m
tcp  198.51.100.2:0           192.0.2.100:80           192.0.2.11:8080          TEMPLATE     4m55s
udp  203.0.113.7:36156        192.0.2.101:53           192.0.2.11:53            UDP          4m58s, learned
`, "\n")
	web := map[netip.AddrPort]bool{netip.MustParseAddrPort("192.0.2.100:80"): true}
	for name, test := range map[string]struct {
		real, client string
		virtual      map[netip.AddrPort]bool
		want         []int
		sum          string
	}{
		"all":              {"", "", nil, []int{0, 1, 2, 3}, "3 connections, 1 template"},
		"a service":        {"", "", web, []int{0, 1, 2}, "2 connections, 1 template"},
		"a server":         {"192.0.2.11", "", nil, []int{0, 2, 3}, "2 connections, 1 template"},
		"a server's port":  {"192.0.2.11:53", "", nil, []int{3}, "1 connection, 0 templates"},
		"a client":         {"", "198.51.100.2", nil, []int{0, 2}, "1 connection, 1 template"},
		"a network":        {"", "198.51.100.9/24", nil, []int{0, 1, 2}, "2 connections, 1 template"},
		"all of it":        {"192.0.2.11", "198.51.100.2", web, []int{0, 2}, "1 connection, 1 template"},
		"nothing":          {"192.0.2.99", "", nil, nil, "0 connections, 0 templates"},
		"another protocol": {"", "2001:db8::/64", nil, nil, "0 connections, 0 templates"},
	} {
		var f connectionFilter
		if err := f.parse(test.real, test.client); err != nil {
			t.Fatal(err)
		}
		f.virtual = test.virtual
		want := ""
		for _, i := range test.want {
			want += all[i] + "\n"
		}
		var out bytes.Buffer
		if err := printConnections(t.Context(), &out, fourConnections, f, false); err != nil || out.String() != want+test.sum+"\n" {
			t.Errorf("%s: %v\n%swant\n%s%s", name, err, out.String(), want, test.sum)
		}
	}
	var out bytes.Buffer
	if err := printConnections(t.Context(), &out, fourConnections, connectionFilter{}, true); err != nil || strings.Count(out.String(), "\n") != 4 ||
		!strings.HasPrefix(out.String(), `{"protocol":"tcp","client":"198.51.100.2:36156","virtual":"192.0.2.100:80","real":"192.0.2.11:8080","state":"ESTABLISHED","expires_s":899}`+"\n") {
		t.Errorf("as JSON: %v\n%s", err, out.String())
	}
	unreadable := func(context.Context, func(ipvsctl.Connection) bool) error { return ipvsctl.ErrUnavailable }
	if err := printConnections(t.Context(), &out, unreadable, connectionFilter{}, false); !errors.Is(err, ipvsctl.ErrUnavailable) {
		t.Errorf("without ipvs: %v", err)
	}
}

func TestConnectionFlagsThatAreWrong(t *testing.T) {
	var f connectionFilter
	for _, test := range [][3]string{
		{"web1", "", `--real "web1" is neither an address nor an address and port`},
		{"", "198.51.100.0/33", `--client "198.51.100.0/33" is neither an address nor a network`},
	} {
		if err := f.parse(test[0], test[1]); err == nil || err.Error() != test[2] {
			t.Errorf("%v: %v", test, err)
		}
	}
}

func TestServicesAreFoundByName(t *testing.T) {
	status := control.Status{Services: []control.ServiceStatus{
		{Name: "web", Listen: "192.0.2.100:80"}, {Name: "web", Listen: "192.0.2.100:443"}, {Name: "dns", Listen: "192.0.2.101:53"},
	}}
	if got := listeners(status, "web"); len(got) != 2 || !got[netip.MustParseAddrPort("192.0.2.100:443")] {
		t.Errorf("web is %v", got)
	}
	if got := listeners(status, "mail"); got != nil {
		t.Errorf("mail is %v, want nothing", got)
	}
}
