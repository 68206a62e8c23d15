package ipvsnl

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// connTable is the connection table of the calling thread's network namespace,
// with the origin of each entry. There is no other interface to it.
const connTable = "/proc/thread-self/net/ip_vs_conn_sync"

// Connections calls fn with each entry of the connection table of the process's
// network namespace, until fn returns false or ctx ends. For each page of text
// the kernel walks its table from the beginning: reading a million connections
// whole takes minutes, so bound it. Connections that come and go meanwhile may
// be missed or seen twice.
func Connections(ctx context.Context, fn func(ipvsctl.Connection) bool) error {
	f, err := os.Open(connTable)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the connection table: %w", ipvsctl.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("reading the connection table: %w", err)
	}
	defer func() { _ = f.Close() }()
	return readConnections(ctx, f, fn)
}

func readConnections(ctx context.Context, r io.Reader, fn func(ipvsctl.Connection) bool) error {
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("reading the connection table: %w", err)
		}
		c, err := parseConnection(lines.Text())
		if err != nil {
			return fmt.Errorf("reading the connection table: %w", err)
		}
		if !fn(c) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the connection table: %w", err)
	}
	return nil
}

// parseConnection reads a line such as
//
//	TCP C6336402 9C40 C0000264 0050 C000020B 0050 ESTABLISHED LOCAL      899
func parseConnection(line string) (ipvsctl.Connection, error) {
	var c ipvsctl.Connection
	words := strings.Fields(line)
	if len(words) < 10 {
		return c, fmt.Errorf("%q has %d words instead of 10", line, len(words))
	}
	switch words[0] {
	case "TCP":
		c.Protocol = ipvsctl.TCP
	case "UDP":
		c.Protocol = ipvsctl.UDP
	case "SCTP":
		c.Protocol = ipvsctl.SCTP
	}
	for i, to := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Dest} {
		address, err := hexAddress(words[1+2*i])
		port, portErr := strconv.ParseUint(words[2+2*i], 16, 16)
		if err := errors.Join(err, portErr); err != nil {
			return c, fmt.Errorf("%q: %w", line, err)
		}
		*to = netip.AddrPortFrom(address, uint16(port))
	}
	seconds, err := strconv.ParseUint(words[9], 10, 32)
	if err != nil {
		return c, fmt.Errorf("%q: %w", line, err)
	}
	c.State, c.Learned, c.Expires = words[7], words[8] == "SYNC", time.Duration(seconds)*time.Second
	return c, nil
}

// hexAddress reads eight digits for IPv4 and the long form for IPv6.
func hexAddress(s string) (netip.Addr, error) {
	if strings.Contains(s, ":") {
		a, err := netip.ParseAddr(s)
		return a.WithZone(""), err
	}
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return netip.Addr{}, err
	}
	var v4 [4]byte
	binary.BigEndian.PutUint32(v4[:], uint32(n))
	return netip.AddrFrom4(v4), nil
}
