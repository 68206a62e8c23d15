package vrrptest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// Endpoint is a host as the contract needs it: one interface with exactly two
// addresses, the first of which plays the virtual one; both are IPv4, or both are
// link-local IPv6. The contract is about that family.
type Endpoint struct {
	vrrp.Network
	Interface string
	Virtual   netip.Addr
	Real      netip.Addr
}

// Contract tests what vrrp.Network and vrrp.Port promise, with two hosts on one
// segment. The LAN and the sockets of the kernel both have to pass.
func Contract(t *testing.T, hosts func(t *testing.T) (a, b Endpoint)) {
	open := func(t *testing.T, e Endpoint) vrrp.Port {
		t.Helper()
		p, err := vrrp.Open(e, &vrrp.RouterConfig{Interface: e.Interface, Addresses: []netip.Addr{e.Virtual}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.Close() })
		return p
	}
	advert := func(t *testing.T, e Endpoint, vrid uint8) []byte {
		t.Helper()
		p := vrrp.Packet{VRID: vrid, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{e.Virtual}}
		m, err := p.Append(nil, e.Real, vrrp.FamilyOf(e.Real).Group())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	send := func(t *testing.T, p vrrp.Port, e Endpoint, messages ...[]byte) {
		t.Helper()
		if n, err := p.Send(e.Real, messages); n != len(messages) || err != nil {
			t.Fatalf("Send = %d, %v, want %d", n, err, len(messages))
		}
	}

	t.Run("an interface that does not exist is not opened", func(t *testing.T) {
		a, _ := hosts(t)
		for _, open := range []func(string) (vrrp.Port, error){a.Open, a.Open6} {
			if p, err := open("none0"); err == nil || p != nil {
				t.Errorf("Open = %v, %v, want nil and an error", p, err)
			}
		}
	})
	t.Run("the source is the first address that is not excluded", func(t *testing.T) {
		a, _ := hosts(t)
		p := open(t, a)
		if got, err := p.Source([]netip.Addr{a.Virtual}); got != a.Real || err != nil {
			t.Errorf("Source = %v, %v, want %v", got, err, a.Real)
		}
		if got, err := p.Source(nil); got != a.Real || err != nil {
			t.Errorf("Source afterwards = %v, %v, want the same one", got, err)
		}
		if got, err := p.Source([]netip.Addr{a.Virtual, a.Real}); !errors.Is(err, vrrp.ErrNoSource) {
			t.Errorf("Source with everything excluded = %v, %v, want ErrNoSource", got, err)
		}
	})
	t.Run("what is sent is received in order, but not by the sender", func(t *testing.T) {
		a, b := hosts(t)
		from, to := open(t, a), open(t, b)
		want := [][]byte{advert(t, a, 1), advert(t, a, 2), advert(t, a, 255)}
		send(t, from, a, want...)
		for i, d := range collect(t, to, len(want)) {
			if d.Source != a.Real || d.Destination != vrrp.FamilyOf(a.Real).Group() || d.TTL != 255 || !bytes.Equal(d.Payload, want[i]) {
				t.Errorf("datagram %d = %+v, want %x from %v", i, d, want[i], a.Real)
			}
		}
		send(t, to, b, advert(t, b, 3))
		if d := collect(t, from, 1)[0]; d.Source != b.Real {
			t.Errorf("the first that the sender receives is from %v, want %v", d.Source, b.Real)
		}
	})
	t.Run("what is sent to a host is received by that host", func(t *testing.T) {
		a, b := hosts(t)
		from, to := open(t, a), open(t, b)
		want := []vrrp.Outgoing{{To: b.Real, Message: advert(t, a, 1)}, {To: b.Real, Message: advert(t, a, 2)}}
		if n, err := from.SendTo(a.Real, want); n != 2 || err != nil {
			t.Fatalf("SendTo = %d, %v", n, err)
		}
		for i, d := range collect(t, to, len(want)) {
			if d.Source != a.Real || d.Destination != b.Real || d.TTL != 255 || !bytes.Equal(d.Payload, want[i].Message) {
				t.Errorf("datagram %d = %+v, want %x from %v", i, d, want[i].Message, a.Real)
			}
		}
	})
	t.Run("only VRIDs of interest are received", func(t *testing.T) {
		a, b := hosts(t)
		from, to := open(t, a), open(t, b)
		var vrids vrrp.VRIDs
		vrids.Add(7)
		if err := to.Listen(vrids); err != nil {
			t.Fatal(err)
		}
		send(t, from, a, advert(t, a, 6), advert(t, a, 7), advert(t, a, 8))
		if got := collect(t, to, 1)[0].Payload[1]; got != 7 {
			t.Errorf("received VRID %d, want 7", got)
		}
	})
	t.Run("the other family's adverts are not received", func(t *testing.T) {
		a, b := hosts(t)
		other := b.Open6
		if a.Real.Is6() {
			other = b.Open
		}
		to, err := other(b.Interface)
		if err != nil {
			t.Fatal(err)
		}
		from, same := open(t, a), open(t, b)
		send(t, from, a, advert(t, a, 1))
		collect(t, same, 1)
		received := make(chan int)
		go func() {
			n, _ := to.Receive(room(1)) // ends by Close
			received <- n
		}()
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		if n := <-received; n != 0 {
			t.Errorf("received %d", n)
		}
	})
	t.Run("close ends Receive and Send", func(t *testing.T) {
		a, _ := hosts(t)
		p := open(t, a)
		ended := make(chan error)
		go func() {
			_, err := p.Receive(room(1))
			ended <- err
		}()
		if err := p.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Receive = %v, want net.ErrClosed", err)
		}
		if n, err := p.Send(a.Real, [][]byte{advert(t, a, 1)}); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Send = %d, %v, want net.ErrClosed", n, err)
		}
	})
}

// collect returns copies of the next n datagrams.
func collect(t *testing.T, p vrrp.Port, n int) []vrrp.Datagram {
	t.Helper()
	stop := time.AfterFunc(10*time.Second, func() { _ = p.Close() })
	defer stop.Stop()
	var all []vrrp.Datagram
	for len(all) < n {
		into := room(n)
		got, err := p.Receive(into)
		if err != nil {
			t.Fatalf("receiving datagram %d of %d: %v", len(all)+1, n, err)
		}
		all = append(all, into[:got]...)
	}
	return all
}

func room(n int) []vrrp.Datagram {
	into := make([]vrrp.Datagram, n)
	for i := range into {
		into[i].Buffer = make([]byte, vrrp.MaxDatagram6)
	}
	return into
}
