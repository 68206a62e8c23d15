package vrrpbench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/vrrp"
)

// floodRate is how many packets a second a foreign speaker sends.
const floodRate = 100_000

// BenchmarkFlood floods a master of 20 virtual routers: with adverts of VRIDs that
// it does not have, with malformed ones of its own, and with a mixture.
func BenchmarkFlood(b *testing.B) {
	haldir, keepalived := needs(b)
	const routers, interval = 20, 100 * time.Millisecond
	for b.Loop() {
		for _, kind := range []string{"foreign", "malformed", "mixed"} {
			m := newMany(b, routers, 1, interval)
			h := m.flood(kind, func() *program { return m.haldir(haldir, "a") }, "a/haldir.sock")
			m = newMany(b, routers, 1, interval)
			k := m.flood(kind, func() *program { return m.keepalived(keepalived, "a") }, "")
			name := fmt.Sprintf("flood, %s packets, %.0f a second", kind, h.rate)
			record(name+": lateness of adverts p50/p99.9/max", "ms", h.late, k.late, "on time")
			record(name+": CPU", "% of a core", fmt.Sprintf("%.1f", h.cpu), fmt.Sprintf("%.1f", k.cpu), "-")
			record(name+": memory before, after", "MB", h.memory, k.memory, "does not grow")
			record(name+": lines of log", "", fmt.Sprint(h.lines), fmt.Sprint(k.lines), "bounded")
			if h.dropped != "" {
				record(name+": dropped, by reason", "", h.dropped, "-", "each counted")
			}
		}
	}
}

type flooded struct {
	rate, cpu             float64
	late, memory, dropped string
	lines                 int
}

// flood measures one program; socket is that of its API, if it has one.
func (m *many) flood(kind string, start func() *program, socket string) (f flooded) {
	m.Helper()
	w := listen(m.B, m.b, 1, m.interval)
	p := start()
	w.all(m.count)
	during(8 * time.Second)
	before, lines := p.pss(), m.lines()
	cpu, since := p.cpu(), time.Now()
	w.reset()
	stop := m.send(m.packets(kind))
	during(span(10 * time.Second))
	took := time.Since(since).Seconds()
	f.rate = float64(stop()) / took
	f.cpu = 100 * (p.cpu() - cpu).Seconds() / took
	f.late = lateness(w.late())
	f.memory = fmt.Sprintf("%.1f, %.1f", before, p.pss())
	f.lines = m.lines() - lines
	if socket != "" {
		f.dropped = m.dropped(filepath.Join(m.dir, socket))
	}
	p.kill()
	return f
}

func (m *many) lines() int {
	text, err := os.ReadFile(m.logPath("a"))
	if err != nil {
		m.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// dropped says what the routers counted, and checks that all are master as before.
func (m *many) dropped(socket string) string {
	m.Helper()
	status, err := control.NewClient(socket).Status(context.Background())
	if err != nil {
		m.Fatal(err)
	}
	sum := map[string]uint64{}
	for _, r := range status.Routers {
		if r.State != "master" {
			m.Errorf("router %s is %s after the flood: %s", r.Name, r.State, r.Reason)
		}
		for reason, n := range r.Dropped {
			sum[reason] += n
		}
	}
	return strings.TrimPrefix(fmt.Sprint(sum), "map")
}

// packets are what is sent, over and over.
func (m *many) packets(kind string) [][]byte {
	m.Helper()
	source := netip.AddrFrom4([4]byte{10, 0, 0, 2})
	advert := func(vrid uint8) []byte {
		p := vrrp.Packet{VRID: vrid, Priority: 250, Interval: m.interval, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, vrid})}}
		b, err := p.Append(nil, source, vrrp.Group)
		if err != nil {
			m.Fatal(err)
		}
		return b
	}
	spoilt := func(change func([]byte) []byte) []byte { return change(advert(1)) }
	foreign := [][]byte{advert(101), advert(102), advert(255)}
	malformed := [][]byte{
		spoilt(func(b []byte) []byte { b[6] ^= 0xff; return b }), // checksum
		spoilt(func(b []byte) []byte { return b[:len(b)-1] }),    // short
		spoilt(func(b []byte) []byte { return append(b, 0) }),    // long
		spoilt(func(b []byte) []byte { b[0] = 0x41; return b }),  // version
		spoilt(func(b []byte) []byte { b[0] = 0x3f; return b }),  // type
		spoilt(func(b []byte) []byte { return b[:4] }),           // no whole header
	}
	switch kind {
	case "foreign":
		return foreign
	case "malformed":
		return malformed
	}
	return append(foreign, malformed...)
}

// send sends at the rate from node b until stop is called, which says how many
// packets left.
func (m *many) send(packets [][]byte) (stop func() uint64) {
	m.Helper()
	var conn *ipv4.PacketConn
	m.b.Do(m.B, func() {
		c, err := net.ListenPacket("ip4:112", "10.0.0.2")
		if err != nil {
			m.Fatal(err)
		}
		conn = ipv4.NewPacketConn(c)
		link, err := net.InterfaceByName(linkName(0))
		if err == nil {
			err = conn.SetMulticastInterface(link)
		}
		if err == nil {
			err = conn.SetMulticastTTL(255)
		}
		if err == nil {
			err = conn.SetMulticastLoopback(false)
		}
		if err != nil {
			m.Error(err)
		}
	})
	const together = 200
	batch := make([]ipv4.Message, together)
	for i := range batch {
		batch[i] = ipv4.Message{Buffers: [][]byte{packets[i%len(packets)]}, Addr: &net.IPAddr{IP: vrrp.Group.AsSlice()}}
	}
	var sent atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close()
		for began := time.Now(); ctx.Err() == nil; {
			// What is behind is caught up with, as far as the machine can.
			for due := time.Since(began).Seconds() * floodRate; float64(sent.Load()) < due && ctx.Err() == nil; {
				n, err := conn.WriteBatch(batch, 0)
				if err != nil && ctx.Err() == nil {
					m.Error(err)
					return
				}
				sent.Add(uint64(n))
			}
			during(500 * time.Microsecond)
		}
	}()
	return func() uint64 { cancel(); <-done; return sent.Load() }
}
