package healthcheck

import (
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestRedis(t *testing.T) {
	tests := []struct {
		say     string
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"+PONG\r\n", Pass, ReasonAnswered, ""},
		{"-NOAUTH Authentication required.\r\n", Pass, ReasonAnswered, "wants a password"},
		{"-LOADING Redis is loading the dataset in memory\r\n", Fail, ReasonUnexpected, "LOADING Redis"},
		{"$4\r\nPONG\r\n", Fail, ReasonMalformed, "$4"},
		{"+PONG", Fail, ReasonClosed, "PING"},
	}
	for _, tt := range tests {
		want(t, probe(t, Redis{}, hostile(t, saysThenCloses(tt.say)), time.Second), tt.outcome, tt.reason, tt.detail)
	}
	hostility(t, Redis{})
}

// turn is a part of a conversation: what is to be heard, in hexadecimal, and what is then
// said.
type turn struct{ hear, say string }

func follows(t *testing.T, parts ...turn) manner {
	return func(conn *net.TCPConn) {
		for _, part := range parts {
			want, err := hex.DecodeString(strings.Join(strings.Fields(part.hear), ""))
			if err != nil {
				t.Error(err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("heard %x and error %v, want %x", got, err, want)
				return
			}
			_, _ = io.WriteString(conn, part.say)
		}
		_ = conn.CloseWrite()
		until(conn)
	}
}

// The greeting of a MySQL server, and the login of the user haldir.
const (
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36\x00\x01\x00\x00\x00abcdefgh\x00\xff\xff\x21\x02\x00\xff\xdf\x15" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00ijklmnopqrst\x00caching_sha2_password\x00"
	mysqlLogin = "3e000001 01820800 00000001 21 0000000000000000000000000000000000000000000000" +
		"68616c646972 00 00 6d7973716c5f6e61746976655f70617373776f7264 00"
)

func TestMySQL(t *testing.T) {
	denied := "\x2c\x00\x00\x02\xff\x15\x04#28000Access denied for user 'haldir'@'a'"
	tests := []struct {
		name    string
		manner  manner
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"welcome", follows(t, turn{"", mysqlGreeting}, turn{mysqlLogin, "\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"}, turn{"0100000001", ""}), Pass, ReasonAnswered, ""},
		{"user refused", follows(t, turn{"", mysqlGreeting}, turn{mysqlLogin, denied}), Pass, ReasonAnswered, "refuses the user"},
		{"another method", follows(t, turn{"", mysqlGreeting}, turn{mysqlLogin, "\x07\x00\x00\x02\xfeabc\x00de"},
			turn{"00000003", "\x03\x00\x00\x04\xff\x15\x04"}), Pass, ReasonAnswered, "refuses the user"},
		{"too many connections", follows(t, turn{"", "\x17\x00\x00\x00\xff\x10\x04Too many connections"}), Fail, ReasonUnexpected, "error 1040: Too many connections"},
		{"host blocked", follows(t, turn{"", "\x07\x00\x00\x00\xff\x69\x04abcd"}), Fail, ReasonUnexpected, "error 1129"},
		{"another protocol", says("220 mx ready\r\n"), Fail, ReasonMalformed, ""},
		{"error without a number", says("\x01\x00\x00\x00\xff"), Fail, ReasonMalformed, "without a number"},
		{"greeting without an end", says("\x03\x00\x00\x00\x0aab"), Fail, ReasonMalformed, "greeting"},
		{"empty packet", says("\x00\x00\x00\x00"), Fail, ReasonMalformed, ""},
		{"huge packet", floods("\xff\xff\xff\x00", "\x0a"), Fail, ReasonMalformed, ""},
		{"login without an end", floods(mysqlGreeting, "\x01\x00\x00\x02\xfe"), Fail, ReasonMalformed, "no end"},
		{"nothing after the login", says(mysqlGreeting), Fail, ReasonTimeout, "login"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, MySQL{}, hostile(t, tt.manner), 300*time.Millisecond), tt.outcome, tt.reason, tt.detail)
		})
	}
	hostility(t, MySQL{})
}

func TestPostgreSQL(t *testing.T) {
	const login = "00000015 00030000 75736572 00 68616c646972 00 00"
	fails := func(fields string) string { return "E\x00\x00\x00" + string(rune(4+len(fields))) + fields }
	tests := []struct {
		name    string
		manner  manner
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"password wanted", follows(t, turn{login, "R\x00\x00\x00\x08\x00\x00\x00\x05"}, turn{"5800000004", ""}), Pass, ReasonAnswered, ""},
		{"after a notice", follows(t, turn{login, "N\x00\x00\x00\x05\x00R\x00\x00\x00\x08\x00\x00\x00\x00"}), Pass, ReasonAnswered, ""},
		{"user refused", follows(t, turn{login, fails("SFATAL\x00C28000\x00Mno role\x00\x00")}), Pass, ReasonAnswered, "refuses the user"},
		{"no database", follows(t, turn{login, fails("C3D000\x00\x00")}), Pass, ReasonAnswered, ""},
		{"starting up", follows(t, turn{login, fails("SFATAL\x00C57P03\x00Mstarting up\x00\x00")}), Fail, ReasonUnexpected, "error 57P03: starting up"},
		{"error without a code", follows(t, turn{login, fails("Mno\x00\x00")}), Fail, ReasonMalformed, "without a code"},
		{"another protocol", says("HTTP/1.1 400 Bad Request\r\n"), Fail, ReasonMalformed, ""},
		{"another message", says("Z\x00\x00\x00\x05I"), Fail, ReasonMalformed, "no known kind"},
		{"huge message", floods("R\x7f\xff\xff\xff", "x"), Fail, ReasonMalformed, ""},
		{"endless notices", floods("", "N\x00\x00\x00\x05\x00"), Fail, ReasonMalformed, "no end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, PostgreSQL{}, hostile(t, tt.manner), 300*time.Millisecond), tt.outcome, tt.reason, tt.detail)
		})
	}
	hostility(t, PostgreSQL{})
}
