package vrrpsock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkLocal returns the link-local addresses of an interface that can be sent
// from, in the kernel's order. One that is being checked for duplicates, or
// failed that, cannot.
func linkLocal(index int) ([]netip.Addr, error) {
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
	all, err := netlink.AddrList(link, netlink.FAMILY_V6)
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, one := range all {
		a, ok := netip.AddrFromSlice(one.IP)
		if ok && a.Is6() && a.IsLinkLocalUnicast() && usableFlags(uint32(one.Flags)) {
			addresses = append(addresses, a)
		}
	}
	return addresses, nil
}

func usableFlags(flags uint32) bool {
	tentative := flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0
	return !tentative && flags&unix.IFA_F_DADFAILED == 0
}

// usable6 asks for one address of an interface, which neither the netlink library
// nor an interface request does: listing a thousand virtual addresses every
// second would make garbage in the process that must not wait for its collection.
func usable6(index int, a netip.Addr) (bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return false, fmt.Errorf("opening a netlink socket: %w", err)
	}
	defer unix.Close(fd)
	request := addressRequest(index, a)
	if err := unix.Sendto(fd, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("asking for %s: %w", a, err)
	}
	// The kernel has answered when Sendto returns.
	var reply [512]byte
	n, _, err := unix.Recvfrom(fd, reply[:], unix.MSG_DONTWAIT)
	if err != nil {
		return false, fmt.Errorf("receiving what %s is: %w", a, err)
	}
	return parseAddressReply(reply[:n], index)
}

const addressRequestLen = unix.SizeofNlMsghdr + unix.SizeofIfAddrmsg + unix.SizeofRtAttr + 16

// addressRequest is RTM_GETADDR for one address, see rtnetlink(7).
func addressRequest(index int, a netip.Addr) (b [addressRequestLen]byte) {
	native := binary.NativeEndian
	native.PutUint32(b[0:], addressRequestLen)
	native.PutUint16(b[4:], unix.RTM_GETADDR)
	native.PutUint16(b[6:], unix.NLM_F_REQUEST)
	message := b[unix.SizeofNlMsghdr:]
	message[0], message[1] = unix.AF_INET6, 128
	native.PutUint32(message[4:], uint32(index))
	attribute := message[unix.SizeofIfAddrmsg:]
	native.PutUint16(attribute[0:], unix.SizeofRtAttr+16)
	native.PutUint16(attribute[2:], unix.IFA_ADDRESS)
	octets := a.As16()
	copy(attribute[unix.SizeofRtAttr:], octets[:])
	return b
}

// parseAddressReply reports whether the reply is an address of the interface that
// can be sent from; an address that is not there is an error of the kernel's.
func parseAddressReply(b []byte, index int) (bool, error) {
	native := binary.NativeEndian
	if len(b) < unix.SizeofNlMsghdr+4 {
		return false, errors.New("reading a netlink reply: it is too short")
	}
	message := b[unix.SizeofNlMsghdr:]
	switch native.Uint16(b[4:]) {
	case unix.NLMSG_ERROR:
		return false, unix.Errno(-int32(native.Uint32(message)))
	case unix.RTM_NEWADDR:
		if len(message) < unix.SizeofIfAddrmsg {
			return false, errors.New("reading a netlink reply: it is too short")
		}
		return usableFlags(uint32(message[2])) && int(native.Uint32(message[4:])) == index, nil
	}
	return false, fmt.Errorf("reading a netlink reply: type %d is not asked for", native.Uint16(b[4:]))
}
