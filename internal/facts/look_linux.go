package facts

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/arp"
)

// LookAround asks the segments for addresses, listens for adverts and measures how
// late this machine is, all at the same time, for as long as want says. The
// questions change no neighbour's table. It always returns a Segment: what could
// not be seen is in its Unknown. Needs CAP_NET_RAW.
func LookAround(ctx context.Context, want Look) *Segment {
	s := &Segment{Owners: map[Question][]arp.Answer{}, Listened: want.For}
	var mu sync.Mutex
	unknown := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		s.Unknown = append(s.Unknown, Unknown{what, err.Error()})
	}
	var wait sync.WaitGroup
	for _, q := range want.Ask {
		wait.Go(func() {
			answers, err := arp.Probe(ctx, q.Interface, q.Address, want.For)
			if err != nil {
				unknown("who has "+q.Address.String(), err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			s.Owners[q] = answers
		})
	}
	for _, name := range want.Listen {
		for _, family := range []int{unix.ETH_P_IP, unix.ETH_P_IPV6} {
			wait.Go(func() {
				heard, err := listenVRRP(ctx, name, family, want.For)
				if err != nil {
					unknown("which adverts come in by "+name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				s.Adverts = append(s.Adverts, heard...)
			})
		}
	}
	wait.Go(func() { s.Late = lateness(ctx, want.For) })
	wait.Wait()
	slices.SortFunc(s.Adverts, func(a, b Advert) int { return a.Source.Compare(b.Source) })
	clock, err := readClock()
	if err != nil {
		unknown("the state of the clock", err)
	} else {
		s.Clock = &clock
	}
	return s
}

const maxAdvert = 2048

// mostAdverts bounds what a hostile segment can make this remember.
const mostAdverts = 64

// listenVRRP collects the adverts that come in, one of each sort.
func listenVRRP(ctx context.Context, name string, etherType int, wait time.Duration) ([]Advert, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	protocolAt := uint32(9)
	if etherType == unix.ETH_P_IPV6 {
		protocolAt = 6
	}
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: protocolAt, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: vrrpProtocol, SkipFalse: 1},
		bpf.RetConstant{Val: maxAdvert},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, fmt.Errorf("assembling the filter: %w", err)
	}
	leave := joinGroup(ifi, etherType)
	defer leave()
	conn, err := packet.Listen(ifi, packet.Datagram, etherType, &packet.Config{Filter: filter})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	var heard []Advert
	buffer := make([]byte, maxAdvert)
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return heard, ctx.Err() // the time is over
		}
		a, ok := parseAdvert(buffer[:n])
		a.Interface = name
		known := slices.ContainsFunc(heard, func(h Advert) bool { return sameSort(h, a) })
		if ok && !known && len(heard) < mostAdverts {
			heard = append(heard, a)
		}
	}
}

func sameSort(a, b Advert) bool {
	return a.Source == b.Source && a.Version == b.Version && a.VRID == b.VRID && a.Priority == b.Priority &&
		a.Interval == b.Interval && slices.Equal(a.Addresses, b.Addresses)
}

// joinGroup makes the interface take the multicast frames of VRRP. Where that
// fails the adverts to unicast peers are heard all the same.
func joinGroup(ifi *net.Interface, etherType int) (leave func()) {
	network, group := "udp4", net.IPv4(224, 0, 0, 18)
	if etherType == unix.ETH_P_IPV6 {
		network, group = "udp6", net.ParseIP("ff02::12")
	}
	conn, err := net.ListenPacket(network, ":0")
	if err != nil {
		return func() {}
	}
	if etherType == unix.ETH_P_IPV6 {
		_ = ipv6.NewPacketConn(conn).JoinGroup(ifi, &net.UDPAddr{IP: group})
	} else {
		_ = ipv4.NewPacketConn(conn).JoinGroup(ifi, &net.UDPAddr{IP: group})
	}
	return func() { _ = conn.Close() }
}

// nap is the length of the sleeps that are measured.
const nap = time.Millisecond

// lateness returns by how much the latest of many short sleeps ended too late.
func lateness(ctx context.Context, span time.Duration) time.Duration {
	latest := time.Duration(0)
	for begin := time.Now(); time.Since(begin) < span && ctx.Err() == nil; {
		slept := time.Now()
		time.Sleep(nap)
		latest = max(latest, time.Since(slept)-nap)
	}
	return latest
}

func readClock() (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}, fmt.Errorf("adjtimex: %w", err)
	}
	synchronised := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	return Clock{synchronised, time.Duration(t.Maxerror) * time.Microsecond}, nil
}
