package ipvsctl_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/ipvsctl"
)

func key(protocol ipvsctl.Protocol, s string) ipvsctl.ServiceKey {
	ap := netip.MustParseAddrPort(s)
	return ipvsctl.ServiceKey{Protocol: protocol, Address: ap.Addr(), Port: ap.Port()}
}

func tcp(s string) ipvsctl.ServiceKey { return key(ipvsctl.TCP, s) }

func destKey(s string) ipvsctl.DestKey {
	ap := netip.MustParseAddrPort(s)
	return ipvsctl.DestKey{Address: ap.Addr(), Port: ap.Port()}
}

func TestServiceKeyText(t *testing.T) {
	for text, k := range map[string]ipvsctl.ServiceKey{
		"tcp 192.0.2.1:80":       tcp("192.0.2.1:80"),
		"udp [2001:db8::1]:53":   key(ipvsctl.UDP, "[2001:db8::1]:53"),
		"sctp 192.0.2.1:0":       key(ipvsctl.SCTP, "192.0.2.1:0"),
		"fwmark 7 ipv4":          {FWMark: 7, Family: ipvsctl.IPv4},
		"fwmark 4294967295 ipv6": {FWMark: 1<<32 - 1, Family: ipvsctl.IPv6},
	} {
		if got := k.String(); got != text {
			t.Errorf("String = %q, want %q", got, text)
		}
		var back ipvsctl.ServiceKey
		if err := back.UnmarshalText([]byte(text)); err != nil || back != k {
			t.Errorf("UnmarshalText(%q) = %v, %v", text, back, err)
		}
	}
}

func TestParseServiceKeyRefuses(t *testing.T) {
	for text, reason := range map[string]string{
		"":                    `service key "" is neither "PROTOCOL ADDRESS:PORT" nor "fwmark N FAMILY"`,
		"tcp":                 `neither`,
		"icmp 192.0.2.1:80":   `protocol "icmp" is not one of tcp, udp, sctp`,
		"tcp 192.0.2.1":       `reading service key "tcp 192.0.2.1"`,
		"tcp 192.0.2.1:65536": `invalid port`,
		"fwmark 0 ipv4":       `a mark above 0`,
		"fwmark 7":            `the family ipv4 or ipv6`,
		"fwmark 7 ipx":        `the family ipv4 or ipv6`,
		"fwmark x ipv4":       `invalid syntax`,
	} {
		if _, err := ipvsctl.ParseServiceKey(text); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("ParseServiceKey(%q) = %v, want %q", text, err, reason)
		}
	}
}

func TestWords(t *testing.T) {
	for want, v := range map[string]interface{ String() string }{
		"tcp": ipvsctl.TCP, "udp": ipvsctl.UDP, "sctp": ipvsctl.SCTP, "protocol 47": ipvsctl.Protocol(47),
		"dr": ipvsctl.DR, "tun": ipvsctl.TUN, "nat": ipvsctl.NAT, "local": ipvsctl.Local, "forwarding method 4": ipvsctl.Forward(4),
		"ipip": ipvsctl.IPIP, "gue": ipvsctl.GUE, "gre": ipvsctl.GRE, "tunnel type 3": ipvsctl.TunnelType(3),
		"ipv4": ipvsctl.IPv4, "ipv6": ipvsctl.IPv6, "family 0": ipvsctl.Family(0),
		"flag-1,flag-3": ipvsctl.SchedFlag1 | ipvsctl.SchedFlag3, "": ipvsctl.SchedFlags(0),
		"adding service tcp 192.0.2.1:80": ipvsctl.Op{Kind: ipvsctl.AddService, Service: ipvsctl.Service{Key: tcp("192.0.2.1:80")}},
		"deleting destination 198.51.100.1:80 from service tcp 192.0.2.1:80": ipvsctl.Op{
			Kind: ipvsctl.DeleteDest, Service: ipvsctl.Service{Key: tcp("192.0.2.1:80")}, Dest: ipvsctl.Dest{Key: destKey("198.51.100.1:80")}},
	} {
		if got := v.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
	for _, f := range []ipvsctl.Forward{ipvsctl.DR, ipvsctl.TUN, ipvsctl.NAT, ipvsctl.Local} {
		if got, err := ipvsctl.ParseForward(f.String()); err != nil || got != f {
			t.Errorf("ParseForward(%q) = %v, %v", f, got, err)
		}
	}
	if _, err := ipvsctl.ParseForward("forwarding method 4"); err == nil {
		t.Error("ParseForward of an unknown method succeeded")
	}
}
