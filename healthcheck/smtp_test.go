package healthcheck

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// mail answers each line of the client by replies[its first word], and says
// banner first. After STARTTLS it goes on by config.
func mail(t *testing.T, banner string, replies map[string]string, config *tls.Config) (manner, *[]string) {
	var heard []string
	return func(tcp *net.TCPConn) {
		var conn net.Conn = tcp
		_, _ = io.WriteString(conn, banner)
		lines := bufio.NewReader(conn)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			heard = append(heard, strings.TrimRight(line, "\r\n"))
			word, _, _ := strings.Cut(heard[len(heard)-1], " ")
			_, _ = io.WriteString(conn, replies[word])
			if word == "STARTTLS" && config != nil {
				secure := tls.Server(conn, config)
				conn, lines = secure, bufio.NewReader(secure)
			}
		}
	}, &heard
}

func TestSMTP(t *testing.T) {
	good := map[string]string{"EHLO": "250-mx\r\n250-SIZE\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n", "QUIT": "221 bye\r\n"}
	with := func(word, reply string) map[string]string {
		m := map[string]string{word: reply}
		for k, v := range good {
			if k != word {
				m[k] = v
			}
		}
		return m
	}
	now := time.Now()
	server, ca := certificate(t, now.Add(-time.Hour), now.Add(24*time.Hour), "127.0.0.1")
	config := &tls.Config{Certificates: []tls.Certificate{server}}
	trust := TLS{CA: authority(t, ca)}
	tests := []struct {
		name    string
		banner  string
		replies map[string]string
		spec    SMTP
		outcome Outcome
		reason  Reason
		detail  string
		heard   string
	}{
		{"plain", "220-mx\r\n220 ready\r\n", good, SMTP{}, Pass, ReasonAnswered, "", "EHLO localhost,QUIT"},
		{"name", "220 mx\r\n", good, SMTP{Helo: "lvs.example"}, Pass, ReasonAnswered, "", "EHLO lvs.example,QUIT"},
		{"STARTTLS", "220 mx\r\n", good, SMTP{StartTLS: true, TLS: trust}, Pass, ReasonAnswered, "", "EHLO localhost,STARTTLS,EHLO localhost,QUIT"},
		{"STARTTLS, nearly expired", "220 mx\r\n", good, SMTP{StartTLS: true, TLS: TLS{CA: trust.CA, ExpiryWarning: Span(48 * time.Hour)}}, Pass, ReasonExpires, "", ""},
		{"STARTTLS, unknown authority", "220 mx\r\n", good, SMTP{StartTLS: true}, Fail, ReasonCertificate, "", "EHLO localhost,STARTTLS"},
		{"no STARTTLS", "220 mx\r\n", with("EHLO", "250 mx\r\n"), SMTP{StartTLS: true}, Fail, ReasonUnexpected, "does not offer STARTTLS", ""},
		{"STARTTLS refused", "220 mx\r\n", with("STARTTLS", "454 no\r\n"), SMTP{StartTLS: true}, Fail, ReasonUnexpected, "454 no", ""},
		{"words injected", "220 mx\r\n", with("STARTTLS", "220 go\r\n250 evil\r\n"), SMTP{StartTLS: true}, Fail, ReasonMalformed, "more than", ""},
		{"busy", "421 too busy\r\n", good, SMTP{}, Fail, ReasonUnexpected, "421 too busy", ""},
		{"EHLO refused", "220 mx\r\n", with("EHLO", "502 what\r\n"), SMTP{}, Fail, ReasonUnexpected, "502 what", ""},
		{"EHLO not answered", "220 mx\r\n", with("EHLO", ""), SMTP{}, Fail, ReasonTimeout, "EHLO", ""},
		{"QUIT not answered", "220 mx\r\n", with("QUIT", ""), SMTP{}, Pass, ReasonAnswered, "", "EHLO localhost,QUIT"},
		{"not SMTP", "hello\r\n", good, SMTP{}, Fail, ReasonMalformed, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, heard := mail(t, tt.banner, tt.replies, config)
			ended := make(chan struct{})
			address := hostile(t, func(conn *net.TCPConn) { defer close(ended); m(conn) })
			want(t, probe(t, tt.spec, address, 300*time.Millisecond), tt.outcome, tt.reason, tt.detail)
			<-ended
			if got := strings.Join(*heard, ","); tt.heard != "" && got != tt.heard {
				t.Errorf("the server heard %s, want %s", got, tt.heard)
			}
		})
	}
	hostility(t, SMTP{})
	want(t, probe(t, SMTP{}, hostile(t, floods("", "220-a\r\n")), time.Second), Fail, ReasonTooLong, "longer than")
	for _, spec := range []SMTP{{Helo: "a b"}, {TLS: TLS{SNI: "a"}}} {
		if _, err := spec.checker(); err == nil {
			t.Errorf("%+v is accepted", spec)
		}
	}
}
