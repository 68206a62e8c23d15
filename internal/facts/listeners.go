package facts

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Socket states in /proc/net/tcp and /proc/net/udp.
const (
	tcpListen      = "0A"
	udpUnconnected = "07"
)

// readListeners reads the socket tables of the thread's network namespace.
func (h *Host) readListeners() error {
	h.Listeners = []Listener{}
	for _, protocol := range []string{"tcp", "udp"} {
		for _, family := range []string{"", "6"} {
			data, err := os.ReadFile("/proc/thread-self/net/" + protocol + family)
			if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
				continue
			}
			if err != nil {
				return err
			}
			found, err := parseListeners(protocol, string(data))
			if err != nil {
				return fmt.Errorf("/proc/net/%s%s: %w", protocol, family, err)
			}
			h.Listeners = append(h.Listeners, found...)
		}
	}
	return nil
}

// parseListeners reads the format of /proc/net/tcp: a line of headings, then
// "sl local_address rem_address st ...", addresses as the host's 32-bit words.
func parseListeners(protocol, table string) ([]Listener, error) {
	state := tcpListen
	if protocol == "udp" {
		state = udpUnconnected
	}
	var found []Listener
	heading := true
	for line := range strings.Lines(table) {
		if heading {
			heading = false
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != state {
			continue
		}
		at, err := parseSocketAddress(fields[1])
		if err != nil {
			return nil, err
		}
		found = append(found, Listener{protocol, at})
	}
	slices.SortFunc(found, func(a, b Listener) int { return a.At.Compare(b.At) })
	return slices.Compact(found), nil
}

func parseSocketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(address)
	if err != nil || len(words) != 4 && len(words) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is no socket address", text)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no socket address", text)
	}
	for i := 0; i < len(words); i += 4 {
		binary.BigEndian.PutUint32(words[i:], binary.NativeEndian.Uint32(words[i:]))
	}
	addr, _ := netip.AddrFromSlice(words)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}
