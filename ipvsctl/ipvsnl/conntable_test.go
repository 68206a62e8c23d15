package ipvsnl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// connText is as Linux 6.1 writes it.
const connText = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires
TCP C6336402 9C40 C0000264 0050 C000020B 0050 ESTABLISHED LOCAL      899
UDP C6336403 0035 C0000264 0035 C000020C 1F90 UDP         SYNC       300
IP  C6336402 0000 00000007 0000 C000020B 0000 NONE        LOCAL       59
TCP 2001:0db8:0000:0000:0000:0000:0000:0002 9C40 2001:0db8:0000:0000:0000:0000:0000:0064 01BB C0000210 01BB FIN_WAIT    SYNC       119
`

func TestReadConnections(t *testing.T) {
	var got []ipvsctl.Connection
	if err := readConnections(t.Context(), strings.NewReader(connText), func(c ipvsctl.Connection) bool {
		got = append(got, c)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort
	want := []ipvsctl.Connection{
		{Protocol: ipvsctl.TCP, Client: at("198.51.100.2:40000"), Virtual: at("192.0.2.100:80"), Dest: at("192.0.2.11:80"), State: "ESTABLISHED", Expires: 899 * time.Second, Learned: false},
		{Protocol: ipvsctl.UDP, Client: at("198.51.100.3:53"), Virtual: at("192.0.2.100:53"), Dest: at("192.0.2.12:8080"), State: "UDP", Expires: 300 * time.Second, Learned: true},
		{Protocol: 0, Client: at("198.51.100.2:0"), Virtual: at("0.0.0.7:0"), Dest: at("192.0.2.11:0"), State: "NONE", Expires: 59 * time.Second, Learned: false},
		{Protocol: ipvsctl.TCP, Client: at("[2001:db8::2]:40000"), Virtual: at("[2001:db8::64]:443"), Dest: at("192.0.2.16:443"), State: "FIN_WAIT", Expires: 119 * time.Second, Learned: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("connections:\n got %v\nwant %v", got, want)
	}
	if !got[2].Template() || got[0].Template() {
		t.Error("the third entry alone is a persistence template")
	}
}

func TestReadingConnectionsEndsWhenAsked(t *testing.T) {
	n := 0
	count := func(ipvsctl.Connection) bool { n++; return n < 2 }
	if err := readConnections(t.Context(), strings.NewReader(connText), count); err != nil || n != 2 {
		t.Errorf("read %d connections, %v, want 2", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readConnections(ctx, strings.NewReader(connText), count); !errors.Is(err, context.Canceled) {
		t.Errorf("reading after the end = %v, want %v", err, context.Canceled)
	}
}

// FuzzParseConnection: whatever a line is, it is a connection or an error that
// shows the line.
func FuzzParseConnection(f *testing.F) {
	for line := range strings.Lines(connText) {
		f.Add(strings.TrimSuffix(line, "\n"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseConnection(line)
		if err == nil && (!c.Client.IsValid() || !c.Dest.IsValid() || c.Expires < 0) {
			t.Errorf("%q gives %+v", line, c)
		}
	})
}
