package peer

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func sample(notUp int) Message {
	m := Message{
		Node: "lvs2", Run: "0123456789abcdef", Seq: 7, Release: "v1.2.3", Config: strings.Repeat("ab", 32),
		Routers: []Router{{Name: "edge", State: "backup", Priority: 100}},
		Heard:   []Heard{{Address: netip.MustParseAddr("192.0.2.100"), MAC: "02:00:00:00:00:01", Ago: 1500}},
		Targets: 5000,
	}
	for i := range notUp {
		m.NotUp = append(m.NotUp, NotUp{ID: fmt.Sprintf("tcp 192.0.2.11:%d", 10000+i), Status: "down", Reason: "timeout"})
	}
	return m
}

var sameAddress = cmpopts.EquateComparable(netip.Addr{})

func TestMessagesAreReadAsTheyWereWritten(t *testing.T) {
	for _, entries := range []int{0, 1, 20, 150} {
		want := sample(entries)
		datagrams, err := Encode(sample(entries))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range datagrams {
			if len(d) > pageSize {
				t.Errorf("%d entries: a datagram has %d octets, more than %d", entries, len(d), pageSize)
			}
		}
		if entries == 150 && len(datagrams) < 2 {
			t.Errorf("%d entries fit into %d datagram", entries, len(datagrams))
		}
		book := NewBook("self")
		for i, d := range datagrams {
			complete := book.Hear(epoch, Datagram{Payload: d})
			if complete != (i == len(datagrams)-1) {
				t.Errorf("complete after %d of %d = %v", i+1, len(datagrams), complete)
			}
		}
		peers := book.Peers(epoch)
		if len(peers) != 1 {
			t.Fatalf("peers = %+v (%s)", peers, book.LastRefusal)
		}
		if diff := cmp.Diff(want, peers[0].Message, sameAddress); diff != "" {
			t.Errorf("%d entries (-want +got):\n%s", entries, diff)
		}
	}
}

func TestWhatDoesNotFitIsCutAndSaidSo(t *testing.T) {
	datagrams, err := Encode(sample(5000))
	if err != nil {
		t.Fatal(err)
	}
	if len(datagrams) != maxPages {
		t.Errorf("datagrams = %d, want the %d that are allowed", len(datagrams), maxPages)
	}
	book := NewBook("self")
	for _, d := range datagrams {
		book.Hear(epoch, Datagram{Payload: d})
	}
	peers := book.Peers(epoch)
	if len(peers) != 1 || !peers[0].Partial || len(peers[0].NotUp) < 100 || peers[0].Targets != 5000 {
		t.Errorf("peers = %d, %s", len(peers), book.LastRefusal)
	}
}

func TestDecodeRefusesWhatIsNeverSent(t *testing.T) {
	good := func() string {
		d, err := Encode(sample(1))
		if err != nil {
			t.Fatal(err)
		}
		return string(d[0])
	}()
	for name, test := range map[string]struct{ text, reason string }{
		"empty":        {"", "unexpected end"},
		"no message":   {"hello", "invalid character"},
		"version":      {strings.Replace(good, `"v":1`, `"v":2`, 1), "version 2, want 1"},
		"page":         {strings.Replace(good, `"page":0`, `"page":1`, 1), "page 1 of 1"},
		"negative":     {strings.Replace(good, `"page":0`, `"page":-1`, 1), "page -1 of 1"},
		"many pages":   {strings.Replace(good, `"pages":1`, `"pages":1000000`, 1), "page 0 of 1000000"},
		"nobody":       {strings.Replace(good, `"node":"lvs2"`, `"node":""`, 1), "whose it is"},
		"escape":       {strings.Replace(good, `"lvs2"`, `"\u001b[2J"`, 1), "not printable"},
		"long":         {strings.Replace(good, `"lvs2"`, `"`+strings.Repeat("x", 300)+`"`, 1), "too long"},
		"address":      {strings.Replace(good, "192.0.2.100", "no address", 1), "no address"},
		"long reason":  {strings.Replace(good, "timeout", strings.Repeat("x", 300), 1), "too long"},
		"newline":      {strings.Replace(good, "backup", `a\nb`, 1), "not printable"},
		"another type": {strings.Replace(good, `"seq":7`, `"seq":"7"`, 1), "seq"},
	} {
		book := NewBook("self")
		if book.Hear(epoch, Datagram{Payload: []byte(test.text)}) || book.Refused != 1 || !strings.Contains(book.LastRefusal, test.reason) {
			t.Errorf("%s: refused %d (%q), want it refused for %q", name, book.Refused, book.LastRefusal, test.reason)
		}
	}
}

func FuzzHear(f *testing.F) {
	for _, entries := range []int{0, 1, 100} {
		datagrams, err := Encode(sample(entries))
		if err != nil {
			f.Fatal(err)
		}
		for _, d := range datagrams {
			f.Add(d)
		}
	}
	f.Add([]byte(`{"v":1,"page":0,"pages":2,"node":"a","run":"b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		book := NewBook("self")
		book.Hear(epoch, Datagram{Payload: data})
		book.Hear(epoch, Datagram{Payload: data})
		for _, p := range book.Peers(epoch) {
			if p.Node == "" || !printable(p.Node) {
				t.Errorf("a peer that cannot be shown: %q", p.Node)
			}
		}
		if len(book.Peers(epoch.Add(2*forgetAfter))) != 0 {
			t.Error("a peer is never forgotten")
		}
	})
}

var epoch = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
