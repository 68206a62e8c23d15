package vrrpsock

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/vrrp"
)

// controlOf puts a control message together as the kernel does.
func controlOf(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	header.SetLen(unix.CmsgLen(len(data)))
	header.Level, header.Type = int32(level), int32(kind)
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func TestParseControl(t *testing.T) {
	limit := controlOf(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, []byte{255, 0, 0, 0})
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		limit = controlOf(unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, []byte{0, 0, 0, 255})
	}
	info := controlOf(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(vrrp.Group6.AsSlice(), 0, 0, 0, 0))
	other := controlOf(unix.SOL_SOCKET, unix.SO_TIMESTAMP, make([]byte, 16))
	var d vrrp.Datagram
	for _, good := range [][]byte{slices.Concat(limit, info), slices.Concat(info, other, limit)} {
		d = vrrp.Datagram{}
		if !parseControl(good, &d) || d.TTL != 255 || d.Destination != vrrp.Group6 {
			t.Errorf("parseControl(%x) = %+v", good, d)
		}
	}
	for name, bad := range map[string][]byte{
		"nothing":                   nil,
		"no hop limit":              info,
		"no destination":            limit,
		"cut":                       slices.Concat(limit, info)[:len(limit)+10],
		"short destination":         slices.Concat(limit, controlOf(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, make([]byte, 12))),
		"hop limit of another kind": slices.Concat(controlOf(unix.SOL_SOCKET, unix.IPV6_HOPLIMIT, []byte{255, 0, 0, 0}), info),
	} {
		if parseControl(bad, &d) {
			t.Errorf("%s: accepted", name)
		}
	}
	if room := len(ipv6.NewControlMessage(ipv6.FlagHopLimit | ipv6.FlagDst)); room > controlLen {
		t.Errorf("the control messages need %d octets, there is room for %d", room, controlLen)
	}
}

func TestParseAddressReply(t *testing.T) {
	reply := func(kind uint16, flags byte, index uint32) []byte {
		b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfAddrmsg)
		binary.NativeEndian.PutUint16(b[4:], kind)
		b[unix.SizeofNlMsghdr+2] = flags
		binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+4:], index)
		return b
	}
	absent := reply(unix.NLMSG_ERROR, 0, 0)
	missing := -int32(unix.EADDRNOTAVAIL)
	binary.NativeEndian.PutUint32(absent[unix.SizeofNlMsghdr:], uint32(missing))
	for _, test := range []struct {
		name string
		give []byte
		want bool
		bad  bool
	}{
		{"permanent", reply(unix.RTM_NEWADDR, unix.IFA_F_PERMANENT, 7), true, false},
		{"being checked", reply(unix.RTM_NEWADDR, unix.IFA_F_TENTATIVE, 7), false, false},
		{"being checked, optimistic", reply(unix.RTM_NEWADDR, unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC, 7), true, false},
		{"a duplicate", reply(unix.RTM_NEWADDR, unix.IFA_F_DADFAILED|unix.IFA_F_PERMANENT, 7), false, false},
		{"of another interface", reply(unix.RTM_NEWADDR, 0, 8), false, false},
		{"absent", absent, false, true},
		{"of another type", reply(unix.RTM_NEWROUTE, 0, 7), false, true},
		{"cut", reply(unix.RTM_NEWADDR, 0, 7)[:22], false, true},
		{"empty", nil, false, true},
	} {
		if got, err := parseAddressReply(test.give, 7); got != test.want || (err != nil) != test.bad {
			t.Errorf("%s: %v, %v, want %v", test.name, got, err, test.want)
		}
	}
	request := addressRequest(7, netip.MustParseAddr("fe80::1"))
	if len(request) != 44 || request[43] != 1 || binary.NativeEndian.Uint16(request[24:]) != 20 {
		t.Errorf("request = %x", request)
	}
}
