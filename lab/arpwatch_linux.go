package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"
)

// ARPWatch asks the segment, from the router, who has an address, over and over,
// and notes every answer.
type ARPWatch struct {
	client *arp.Client
	own    net.HardwareAddr
	ended  chan struct{}
	stop   context.CancelFunc
	probes atomic.Int64
	report ARPReport
	err    error
}

// broadcast is the address of every station.
var broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ARPReport is what an ARPWatch has seen.
type ARPReport struct {
	Probes     int
	Unanswered int
	// Owners are the stations that answered, in the order of their first answers.
	Owners []ARPOwner
	// Conflicts are the probes that more than one station answered.
	Conflicts []ARPConflict
}

// ARPOwner is one station that said it has the address.
type ARPOwner struct {
	MAC         net.HardwareAddr
	Node        string // empty for a station that is none of the lab's
	Answers     int    // to probes
	Gratuitous  int    // announcements that nobody asked for
	First, Last time.Time
	// LastAnswer and LastGratuitous are zero where there was none.
	LastAnswer, LastGratuitous time.Time
}

// ARPConflict is a probe with several answers.
type ARPConflict struct {
	At   time.Time
	MACs []net.HardwareAddr
}

// WatchARP begins to ask for an address every so often. An answer belongs to the
// latest probe before it.
func (c *Cluster) WatchARP(address netip.Addr, every time.Duration) (*ARPWatch, error) {
	w := &ARPWatch{ended: make(chan struct{})}
	router := c.Node(Router)
	w.own = router.MAC
	err := router.Do(func() error {
		ifi, err := net.InterfaceByName(Interface)
		if err != nil {
			return err
		}
		const protocolARP = 0x0806
		conn, err := packet.Listen(ifi, packet.Raw, protocolARP, nil)
		if err != nil {
			return err
		}
		w.client, err = arp.New(ifi, conn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening for ARP on the router: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() {
		defer close(w.ended)
		w.err = w.watch(ctx, address, every)
		for i, o := range w.report.Owners {
			w.report.Owners[i].Node = c.nodeOf(o.MAC)
		}
	}()
	return w, nil
}

// Stop ends the watch and returns what it has seen.
func (w *ARPWatch) Stop() (ARPReport, error) {
	w.stop()
	<-w.ended
	return w.report, errors.Join(w.err, w.client.Close())
}

func (w *ARPWatch) watch(ctx context.Context, address netip.Addr, every time.Duration) error {
	question, err := arp.NewPacket(arp.OperationRequest, w.own, netip.IPv4Unspecified(), make(net.HardwareAddr, 6), address)
	if err != nil {
		return fmt.Errorf("making a probe: %w", err)
	}
	for ctx.Err() == nil {
		at := time.Now()
		if err := w.client.WriteTo(question, broadcast); err != nil {
			return fmt.Errorf("probing for %s: %w", address, err)
		}
		w.report.Probes = int(w.probes.Add(1))
		answers, err := w.collect(address, at.Add(every))
		if err != nil {
			return err
		}
		switch len(answers) {
		case 0:
			w.report.Unanswered++
		case 1:
		default:
			w.report.Conflicts = append(w.report.Conflicts, ARPConflict{At: at, MACs: answers})
		}
	}
	return nil
}

// collect reads until the deadline and returns the stations that answered.
func (w *ARPWatch) collect(address netip.Addr, deadline time.Time) ([]net.HardwareAddr, error) {
	if err := w.client.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	var answers []net.HardwareAddr
	for {
		p, _, err := w.client.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return answers, nil
		}
		if err != nil {
			return answers, fmt.Errorf("listening for ARP: %w", err)
		}
		if p.SenderIP != address {
			continue
		}
		asked := p.Operation == arp.OperationReply && bytes.Equal(p.TargetHardwareAddr, w.own)
		w.note(p.SenderHardwareAddr, asked)
		known := slices.ContainsFunc(answers, func(mac net.HardwareAddr) bool { return bytes.Equal(mac, p.SenderHardwareAddr) })
		if asked && !known {
			answers = append(answers, slices.Clone(p.SenderHardwareAddr))
		}
	}
}

func (w *ARPWatch) note(mac net.HardwareAddr, asked bool) {
	now := time.Now()
	i := slices.IndexFunc(w.report.Owners, func(o ARPOwner) bool { return bytes.Equal(o.MAC, mac) })
	if i < 0 {
		i = len(w.report.Owners)
		w.report.Owners = append(w.report.Owners, ARPOwner{MAC: slices.Clone(mac), First: now})
	}
	o := &w.report.Owners[i]
	o.Last = now
	if asked {
		o.Answers++
		o.LastAnswer = now
	} else {
		o.Gratuitous++
		o.LastGratuitous = now
	}
}

// nodeOf returns the name of the node with this address, or nothing.
func (c *Cluster) nodeOf(mac net.HardwareAddr) string {
	for _, n := range c.order {
		if bytes.Equal(n.MAC, mac) {
			return n.Name
		}
	}
	return ""
}
