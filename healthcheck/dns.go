package healthcheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS asks one question and passes when the server answers it.
type DNS struct {
	// Name is the domain that is asked for, with or without the final dot; it
	// defaults to the root.
	Name string `json:"name,omitempty"`
	// Record is the type of record, one of DNSRecords; it defaults to SOA.
	Record string `json:"record,omitempty"`
	// TCP asks by TCP rather than UDP.
	TCP bool `json:"tcp,omitempty"`
	// Expect lists records of which each has to be in the answer: an address, a
	// name with its final dot, "10 mail.example." for MX, the text for TXT.
	// Empty: any record of the type will do.
	Expect []string `json:"expect,omitempty"`
}

var dnsRecords = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX,
	"NS": dnsmessage.TypeNS, "PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "TXT": dnsmessage.TypeTXT,
}

// DNSRecords returns the legal values of DNS.Record, sorted.
func DNSRecords() []string { return slices.Sorted(maps.Keys(dnsRecords)) }

func (s DNS) checker() (Checker, error) {
	question, err := s.question()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ time.Time, t Target) Result {
		id := uint16(rand.Uint32())
		query := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
			Questions: []dnsmessage.Question{question},
		}
		packed, err := query.Pack()
		if err != nil {
			return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: err.Error()}
		}
		if s.TCP {
			return s.overTCP(ctx, t, id, question, packed)
		}
		return s.overUDP(ctx, t, id, question, packed)
	}, nil
}

func (s DNS) question() (dnsmessage.Question, error) {
	if s.Record == "" {
		s.Record = "SOA"
	}
	record, ok := dnsRecords[s.Record]
	if !ok {
		return dnsmessage.Question{}, fmt.Errorf("record %q: unknown (legal: %v)", s.Record, DNSRecords())
	}
	text := strings.TrimSuffix(s.Name, ".") + "."
	name, err := dnsmessage.NewName(text)
	if err == nil {
		// What NewName lets through, such as an empty label, packing refuses.
		_, err = (&dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: record, Class: dnsmessage.ClassINET}}}).Pack()
	}
	if err != nil || len(text) > 254 {
		return dnsmessage.Question{}, fmt.Errorf("name %q: not a domain name", shorten(s.Name))
	}
	return dnsmessage.Question{Name: name, Type: record, Class: dnsmessage.ClassINET}, nil
}

// strayLimit bounds the datagrams that answer another question.
const strayLimit = 16

func (s DNS) overUDP(ctx context.Context, t Target, id uint16, q dnsmessage.Question, query []byte) Result {
	conn, end, err := openUDP(ctx, t)
	if err != nil {
		return connectResult(err)
	}
	defer end()
	if _, err := conn.Write(query); err != nil {
		return datagramResult(err)
	}
	reply := make([]byte, datagramLimit)
	for range strayLimit {
		n, err := conn.Read(reply)
		if err != nil {
			return datagramResult(err)
		}
		// A late answer to an earlier check cannot come: its socket is gone. But
		// anyone can send what looks like one.
		if r, ours := s.judge(reply[:n], id, q); ours {
			return r
		}
	}
	return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "answers to another question only"}
}

func (s DNS) overTCP(ctx context.Context, t Target, id uint16, q dnsmessage.Question, query []byte) Result {
	conn, end, err := open(ctx, t)
	if err != nil {
		return dialResult(err)
	}
	defer end()
	const doing = "the answer"
	// RFC 1035, section 4.2.2: two bytes of length go before each message.
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return talkResult(err, doing)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return talkResult(err, doing)
	}
	reply := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, reply); err != nil {
		return talkResult(err, doing)
	}
	if r, ours := s.judge(reply, id, q); ours {
		return r
	}
	return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "the answer to another question"}
}

// judge compares a message with what is expected. ours is false where it is no
// answer to the question.
func (s DNS) judge(message []byte, id uint16, q dnsmessage.Question) (r Result, ours bool) {
	code, records, err := parseDNS(message, id, q)
	switch {
	case errors.Is(err, errStray):
		return Result{}, false
	case err != nil:
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: shorten(err.Error())}, true
	case code != dnsmessage.RCodeSuccess:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "the server says " + rcodeName(code)}, true
	case len(records) == 0:
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "no such record"}, true
	}
	for _, expected := range s.Expect {
		if !slices.ContainsFunc(records, func(got string) bool { return strings.EqualFold(got, expected) }) {
			return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: shorten(expected + " is not among " + strings.Join(records, ", "))}, true
		}
	}
	return Result{Outcome: Pass, Reason: ReasonAnswered}, true
}

// rcodeName is the name of a response code, as RFC 1035 and dig have it.
func rcodeName(code dnsmessage.RCode) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("code %d", code)
}

// errStray says that a message is no answer to the question asked.
var errStray = errors.New("not an answer to this question")

// parseDNS returns the response code and the records of the type asked for.
func parseDNS(message []byte, id uint16, q dnsmessage.Question) (code dnsmessage.RCode, records []string, err error) {
	var p dnsmessage.Parser
	header, err := p.Start(message)
	if err != nil || header.ID != id || !header.Response {
		return 0, nil, errStray
	}
	questions, err := p.AllQuestions()
	if err != nil {
		return 0, nil, fmt.Errorf("reading the question: %w", err)
	}
	// A server that refuses may leave the question out.
	if len(questions) > 0 && (questions[0].Type != q.Type || !strings.EqualFold(questions[0].Name.String(), q.Name.String())) {
		return 0, nil, errStray
	}
	for {
		answer, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return header.RCode, records, nil
		}
		if err != nil {
			return 0, nil, fmt.Errorf("reading the answer: %w", err)
		}
		if answer.Type != q.Type {
			if err := p.SkipAnswer(); err != nil {
				return 0, nil, fmt.Errorf("reading the answer: %w", err)
			}
			continue
		}
		record, err := p.Answer()
		if err != nil {
			return 0, nil, fmt.Errorf("reading the answer: %w", err)
		}
		records = append(records, recordText(record.Body))
	}
}

// recordText is a record as DNS.Expect has it.
func recordText(body dnsmessage.ResourceBody) string {
	switch b := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(b.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(b.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return b.CNAME.String()
	case *dnsmessage.MXResource:
		return fmt.Sprintf("%d %s", b.Pref, b.MX)
	case *dnsmessage.NSResource:
		return b.NS.String()
	case *dnsmessage.PTRResource:
		return b.PTR.String()
	case *dnsmessage.SOAResource:
		return b.NS.String()
	case *dnsmessage.TXTResource:
		return strings.Join(b.TXT, "")
	}
	return ""
}
