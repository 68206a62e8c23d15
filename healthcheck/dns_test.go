package healthcheck

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone answers queries for a.example; change may spoil the answer.
func zone(t testing.TB, change func(*dnsmessage.Message)) func([]byte) []byte {
	name := dnsmessage.MustNewName("A.example.")
	return func(query []byte) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil || !m.RecursionDesired || len(m.Questions) != 1 {
			t.Errorf("the query is %+v, error %v", m, err)
			return nil
		}
		m.Response = true
		q := m.Questions[0]
		header := dnsmessage.ResourceHeader{Name: name, Type: q.Type, Class: dnsmessage.ClassINET}
		switch {
		case !strings.EqualFold(q.Name.String(), "a.example."):
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{
				{Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: name}},
				{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
				{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}}},
			}
		case q.Type == dnsmessage.TypeMX:
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.MXResource{Pref: 10, MX: name}}}
		case q.Type == dnsmessage.TypeTXT:
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{"v=", "1"}}}}
		}
		if change != nil {
			change(&m)
		}
		packed, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return packed
	}
}

func TestDNSAnswers(t *testing.T) {
	good := zone(t, nil)
	udp := answer(t, func(b []byte) [][]byte { return [][]byte{good(b)} })
	tcp := hostile(t, func(conn *net.TCPConn) {
		query := make([]byte, 512)
		n, _ := conn.Read(query)
		if n < 2 || int(binary.BigEndian.Uint16(query)) != n-2 {
			t.Errorf("the query has %d bytes, of length %x", n, query[:2])
			return
		}
		reply := good(query[2:n])
		// In pieces: the length alone, then the rest.
		_, _ = conn.Write(binary.BigEndian.AppendUint16(nil, uint16(len(reply))))
		_, _ = conn.Write(reply)
		until(conn)
	})
	tests := []struct {
		name    string
		spec    DNS
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"any", DNS{Name: "a.example", Record: "A"}, Pass, ReasonAnswered, ""},
		{"expected", DNS{Name: "a.example.", Record: "A", Expect: []string{"192.0.2.2", "192.0.2.1"}}, Pass, ReasonAnswered, ""},
		{"not expected", DNS{Name: "a.example.", Record: "A", Expect: []string{"192.0.2.3"}}, Fail, ReasonUnexpected, "192.0.2.3 is not among 192.0.2.1, 192.0.2.2"},
		{"mx", DNS{Name: "a.example.", Record: "MX", Expect: []string{"10 a.example."}}, Pass, ReasonAnswered, ""},
		{"txt", DNS{Name: "a.example.", Record: "TXT", Expect: []string{"v=1"}}, Pass, ReasonAnswered, ""},
		{"none", DNS{Name: "a.example.", Record: "AAAA"}, Fail, ReasonUnexpected, "no such record"},
		{"no name", DNS{Name: "b.example.", Record: "A"}, Fail, ReasonUnexpected, "NXDOMAIN"},
		{"root by default", DNS{}, Fail, ReasonUnexpected, "NXDOMAIN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, tt.spec, udp, time.Second), tt.outcome, tt.reason, tt.detail)
			tt.spec.TCP = true
			want(t, probe(t, tt.spec, tcp, time.Second), tt.outcome, tt.reason, tt.detail)
		})
	}
}

func TestDNSOverUDPWithHostileServers(t *testing.T) {
	spoil := func(change func(*dnsmessage.Message)) func([]byte) [][]byte {
		bad := zone(t, change)
		return func(b []byte) [][]byte { return [][]byte{bad(b)} }
	}
	good := zone(t, nil)
	tests := []struct {
		name    string
		reply   func([]byte) [][]byte
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"silence", mute, Fail, ReasonTimeout, "no reply"},
		{"garbage", func([]byte) [][]byte { return [][]byte{[]byte("garbage")} }, Fail, ReasonTimeout, ""},
		{"garbage first", func(b []byte) [][]byte { return [][]byte{{}, []byte("garbage"), good(b)} }, Pass, ReasonAnswered, ""},
		{"much garbage", func([]byte) [][]byte { return make([][]byte, 100) }, Fail, ReasonMalformed, "another question only"},
		{"the query itself", func(b []byte) [][]byte { return [][]byte{b} }, Fail, ReasonTimeout, ""},
		{"another id", spoil(func(m *dnsmessage.Message) { m.ID++ }), Fail, ReasonTimeout, ""},
		{"another question", spoil(func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeNS }), Fail, ReasonTimeout, ""},
		{"refused without a question", spoil(func(m *dnsmessage.Message) {
			m.RCode, m.Questions, m.Answers = dnsmessage.RCodeRefused, nil, nil
		}), Fail, ReasonUnexpected, "REFUSED"},
		{"broken", spoil(func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }), Fail, ReasonUnexpected, "SERVFAIL"},
		{"cut short", func(b []byte) [][]byte { r := good(b); return [][]byte{r[:len(r)-3]} }, Fail, ReasonMalformed, "reading the answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := probe(t, DNS{Name: "a.example", Record: "A"}, answer(t, tt.reply), short)
			want(t, got, tt.outcome, tt.reason, tt.detail)
		})
	}
	want(t, probe(t, DNS{}, closedUDP(t), time.Second), Fail, ReasonRefused, "")
}

func TestDNSOverTCPWithHostileServers(t *testing.T) {
	hostility(t, DNS{TCP: true})
	echo := hostile(t, func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
	want(t, probe(t, DNS{TCP: true}, echo, time.Second), Fail, ReasonMalformed, "another question")
}

func TestDNSRefusesNamesThatAreNone(t *testing.T) {
	for _, spec := range []DNS{{Name: "a..b"}, {Name: strings.Repeat("a", 64)}, {Name: strings.Repeat("a.", 150)}, {Record: "ANY"}} {
		if _, err := spec.checker(); err == nil {
			t.Errorf("%+v is accepted", spec)
		}
	}
}

func FuzzDNS(f *testing.F) {
	q, err := DNS{Name: "a.example", Record: "MX"}.question()
	if err != nil {
		f.Fatal(err)
	}
	query, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 1, RecursionDesired: true}, Questions: []dnsmessage.Question{q}}).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(zone(f, nil)(query))
	f.Add(query)
	f.Fuzz(func(t *testing.T, message []byte) {
		code, records, err := parseDNS(message, 1, q)
		if err != nil && (code != 0 || records != nil) {
			t.Errorf("code %d and records %q with error %v", code, records, err)
		}
		if slices.Contains(records, "") {
			t.Errorf("an empty record among %q", records)
		}
		DNS{Expect: []string{"10 a.example."}}.judge(message, 1, q)
	})
}
