package traffic

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
)

func TestRequestBytes(t *testing.T) {
	b := buildRequest(nil, netip.MustParseAddrPort("203.0.113.1:1024"), netip.MustParseAddrPort("192.0.2.100:8000"), 0x0102030405060708)
	const want = "4500002800000000" + "40110000" + "cb007101" + "c0000264" + // IPv4
		"04001f40" + "0014" + "212d" + // UDP
		"486c6472" + "0102030405060708"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("request =\n%s, want\n%s", got, want)
	}
	// A receiver's sum over pseudo-header and datagram is all ones.
	if got := fold16(onesSum(b[ipHeader:], onesSum(b[12:20], protocolUDP+20))); got != 0xffff {
		t.Errorf("checksum over the request = %#x, want 0xffff", got)
	}

	b = buildRequest(b[:0], netip.MustParseAddrPort("[2001:db8:0:3::1]:1024"), netip.MustParseAddrPort("[2001:db8:0:1::100]:8000"), 0x0102030405060708)
	const want6 = "60000000" + "00141140" + "20010db8000000030000000000000001" + "20010db8000000010000000000000100" + // IPv6
		"04001f40" + "0014" + "c31c" + // UDP
		"486c6472" + "0102030405060708"
	if got := hex.EncodeToString(b); got != want6 {
		t.Errorf("request by IPv6 =\n%s, want\n%s", got, want6)
	}
	if got := fold16(onesSum(b[ipv6Header:], onesSum(b[8:40], protocolUDP+20))); got != 0xffff {
		t.Errorf("checksum over the request by IPv6 = %#x, want 0xffff", got)
	}
}

func TestFlowsDifferForLong(t *testing.T) {
	for _, sources := range []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:0:3::/64")} {
		seen := make(map[netip.AddrPort]bool)
		for seq := range uint64(400_000) { // 400 s at the usual pace; IPVS forgets in 300 s
			f := flow(sources, seq)
			if seen[f] || !sources.Contains(f.Addr()) || f.Port() < 1024 {
				t.Fatalf("request %d comes from %v", seq, f)
			}
			seen[f] = true
		}
	}
}

func TestRepliesAreRead(t *testing.T) {
	request := buildRequest(nil, netip.MustParseAddrPort("203.0.113.1:1024"), netip.MustParseAddrPort("192.0.2.100:8000"), 77)
	reply := append(slices.Clone(request), "rs1"...)
	reply[8] = 62
	icmp := append(make([]byte, 28), request...)
	icmp[0], icmp[9], icmp[20] = 0x46, protocolICMP, 3
	icmp = append(icmp[:20], append([]byte{1, 1, 1, 1}, icmp[20:]...)...) // with IP options

	if r, ok := parseReply(reply); !ok || r.seq != 77 || r.ttl != 62 || r.server != "rs1" || r.refused {
		t.Errorf("reply = %+v, %v", r, ok)
	}
	if r, ok := parseReply(icmp); !ok || r.seq != 77 || !r.refused {
		t.Errorf("ICMP error = %+v, %v, want request 77 refused", r, ok)
	}
	request6 := buildRequest(nil, netip.MustParseAddrPort("[2001:db8:0:3::1]:1024"), netip.MustParseAddrPort("[2001:db8:0:1::100]:8000"), 77)
	reply6 := append(slices.Clone(request6), "rs1"...)
	reply6[7] = 62
	if r, ok := parseReply(reply6); !ok || r.seq != 77 || r.ttl != 62 || r.server != "rs1" || r.refused {
		t.Errorf("reply by IPv6 = %+v, %v", r, ok)
	}
	icmp6 := append(make([]byte, 48), request6...)
	icmp6[0], icmp6[6], icmp6[40] = 0x60, protocolICMPv6, 1
	if r, ok := parseReply(icmp6); !ok || r.seq != 77 || !r.refused {
		t.Errorf("ICMPv6 error = %+v, %v, want request 77 refused", r, ok)
	}
	icmp6[40] = 3 // time exceeded, as in IPv4 the unreachable destination
	if r, ok := parseReply(icmp6); ok {
		t.Errorf("another ICMPv6 error is taken for %+v", r)
	}
	if r, ok := parseReply(request); ok {
		t.Errorf("a request is taken for the reply %+v", r)
	}
	other := append([]byte(nil), reply...)
	other[ipHeader+udpHeader] ^= 1
	if r, ok := parseReply(other); ok {
		t.Errorf("a packet without the cookie is taken for the reply %+v", r)
	}
}

func FuzzParseReply(f *testing.F) {
	request := buildRequest(nil, netip.MustParseAddrPort("203.0.113.1:1024"), netip.MustParseAddrPort("192.0.2.100:8000"), 1)
	f.Add(append(slices.Clone(request), "rs1"...))
	f.Add(append(buildRequest(nil, netip.MustParseAddrPort("[2001:db8::1]:1024"), netip.MustParseAddrPort("[2001:db8::2]:8000"), 1), "rs1"...))
	icmp := append(make([]byte, 28), request...)
	icmp[0], icmp[9], icmp[20] = 0x45, protocolICMP, 3
	f.Add(icmp)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseReply(b); ok && !r.refused && r.server == "" {
			t.Errorf("a reply without a server: %+v", r)
		}
	})
}
