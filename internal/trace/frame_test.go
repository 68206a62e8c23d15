package trace

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
)

func unhex(t testing.TB, parts ...string) []byte {
	var all []byte
	for _, part := range parts {
		b, err := hex.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

const (
	macs  = "020000000002" + "020000000001"
	ip4   = "4500002800004000400600" + "00c6336407c0000264" // 198.51.100.7 to 192.0.2.100, TCP, 40 bytes
	syn   = "9c400050" + "0000000000000000" + "5002" + "000000000000"
	outer = "4500003c00004000400400" + "00c0000202c000020b" // 192.0.2.2 to 192.0.2.11, IP in IP, 60 bytes
	ip6   = "60000000001406ff" + "20010db8000000000000000000000007" + "20010db8000000000000000000000100"
)

func TestParseFrame(t *testing.T) {
	plain := Frame{SourceMAC: "02:00:00:00:00:01", DestinationMAC: "02:00:00:00:00:02", Protocol: 6,
		Source: at("198.51.100.7:40000"), Destination: at("192.0.2.100:80"), Flags: "SYN", Length: 40}
	wrapped := plain
	wrapped.Outer, wrapped.Length = &Outer{addr("192.0.2.2"), addr("192.0.2.11")}, 60
	six := plain
	six.Source, six.Destination, six.Length = at("[2001:db8::7]:40000"), at("[2001:db8::100]:80"), 60
	for _, tt := range []struct {
		name  string
		frame []byte
		want  Frame
	}{
		{"IPv4", unhex(t, macs, "0800", ip4, syn), plain},
		{"padded", unhex(t, macs, "0800", ip4, syn, "000000000000"), plain},
		{"in a tunnel", unhex(t, macs, "0800", outer, ip4, syn), wrapped},
		{"IPv6", unhex(t, macs, "86dd", ip6, syn), six},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parseFrame(tt.frame)
			if d := cmp.Diff(tt.want, got, equate); d != "" || !ok {
				t.Errorf("frame, %v (-want +got):\n%s", ok, d)
			}
		})
	}
	for _, b := range [][]byte{nil, unhex(t, macs), unhex(t, macs, "0806", ip4, syn), unhex(t, macs, "0800", ip4[:20]), unhex(t, macs, "0800", outer, ip4[:20])} {
		if f, ok := parseFrame(b); ok {
			t.Errorf("% x is taken for %+v", b, f)
		}
	}
}

// A fragment that is not the first has no ports, whatever its bytes say.
func TestALaterFragmentHasNoPorts(t *testing.T) {
	frame := unhex(t, macs, "0800", ip4, syn)
	frame[14+7] = 1 // the offset
	if f, ok := parseFrame(frame); !ok || f.Source.Port() != 0 || f.Flags != "" {
		t.Errorf("frame %+v, %v, want no ports", f, ok)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(unhex(f, macs, "0800", ip4, syn))
	f.Add(unhex(f, macs, "0800", outer, ip4, syn))
	f.Add(unhex(f, macs, "86dd", ip6, syn))
	f.Fuzz(func(t *testing.T, b []byte) {
		if frame, ok := parseFrame(b); ok && (!frame.Source.IsValid() || !frame.Destination.IsValid()) {
			t.Errorf("frame %+v", frame)
		}
	})
}

func TestWatchBelongs(t *testing.T) {
	w := Watch{Client: at("198.51.100.7:0"), Ends: []netip.AddrPort{at("192.0.2.100:80"), at("192.0.2.11:8080")}, Protocol: 6}
	frame := func(from, to string) Frame { return Frame{Protocol: 6, Source: at(from), Destination: at(to)} }
	for _, tt := range []struct {
		frame Frame
		want  bool
	}{
		{frame("198.51.100.7:40000", "192.0.2.100:80"), true},
		{frame("198.51.100.7:40000", "192.0.2.11:8080"), true},
		{frame("192.0.2.11:8080", "198.51.100.7:40000"), true},
		{frame("198.51.100.8:40000", "192.0.2.100:80"), false},
		{frame("198.51.100.7:40000", "192.0.2.100:81"), false},
		{Frame{Protocol: 17, Source: at("198.51.100.7:40000"), Destination: at("192.0.2.100:80")}, false},
	} {
		if got := w.belongs(tt.frame); got != tt.want {
			t.Errorf("%s -> %s belongs = %v, want %v", tt.frame.Source, tt.frame.Destination, got, tt.want)
		}
	}
	w.Client = at("198.51.100.7:40001")
	if w.belongs(frame("198.51.100.7:40000", "192.0.2.100:80")) {
		t.Error("another port of the client belongs")
	}
}

func TestAddressFilter(t *testing.T) {
	to := func(frame []byte, client string) []byte { // the same frame, to the client
		b := bytes.Clone(frame)
		copy(b[14+16:], addr(client).AsSlice())
		copy(b[14+12:], []byte{10, 0, 0, 1})
		return b
	}
	four, six, tunnel := unhex(t, macs, "0800", ip4, syn), unhex(t, macs, "86dd", ip6, syn), unhex(t, macs, "0800", outer, ip4, syn)
	for _, tt := range []struct {
		name, client string
		frame        []byte
		want         bool
	}{
		{"source", "198.51.100.7", four, true},
		{"destination", "192.0.2.100", four, true},
		{"destination alone", "198.51.100.7", to(four, "198.51.100.7"), true},
		{"neither", "198.51.100.8", four, false},
		{"tunnel", "198.51.100.9", tunnel, true},
		{"IPv6 source", "2001:db8::7", six, true},
		{"IPv6 destination", "2001:db8::100", six, true},
		{"IPv6 that differs in the last word", "2001:db8::8", six, false},
		{"IPv6 that differs in the first word", "2001:db9::7", six, false},
		{"IPv4 where IPv6 is wanted", "2001:db8::7", four, false},
		{"IPv6 where IPv4 is wanted", "198.51.100.7", six, false},
		{"ARP", "198.51.100.7", unhex(t, macs, "0806", ip4, syn), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vm, err := bpf.NewVM(ofAddress(addr(tt.client)))
			if err != nil {
				t.Fatal(err)
			}
			if n, err := vm.Run(tt.frame); err != nil || (n > 0) != tt.want {
				t.Errorf("filter takes %d bytes, %v, want it to pass: %v", n, err, tt.want)
			}
		})
	}
}
