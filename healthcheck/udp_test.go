package healthcheck

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// answer replies to every datagram by what reply returns, each of it.
func answer(t testing.TB, reply func([]byte) [][]byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			for _, one := range reply(buffer[:n]) {
				_, _ = conn.WriteToUDPAddrPort(one, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func mute([]byte) [][]byte { return nil }

// closedUDP returns an address where no datagram is taken.
func closedUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestUDP(t *testing.T) {
	echo := answer(t, func(b []byte) [][]byte { return [][]byte{append([]byte("re: "), b...)} })
	quiet := answer(t, mute)
	huge := answer(t, func([]byte) [][]byte { return [][]byte{make([]byte, 60000)} })
	hello := UDP{Send: Hex("hello"), Expect: Hex("re: hello")}
	tests := []struct {
		name    string
		spec    UDP
		address netip.AddrPort
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"reply", hello, echo, Pass, ReasonAnswered, ""},
		{"any reply", UDP{}, echo, Pass, ReasonAnswered, ""},
		{"another reply", UDP{Send: Hex("x"), Expect: Hex("hello")}, echo, Fail, ReasonUnexpected, `got "re: x"`},
		{"silence", hello, quiet, Fail, ReasonTimeout, "no reply"},
		{"silence is enough", UDP{SilencePasses: true}, quiet, Pass, ReasonNotRefused, ""},
		{"refused", hello, closedUDP(t), Fail, ReasonRefused, ""},
		{"refused where silence is enough", UDP{Send: Hex("x"), SilencePasses: true}, closedUDP(t), Fail, ReasonRefused, ""},
		{"huge reply", hello, huge, Fail, ReasonUnexpected, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, tt.spec, tt.address, short), tt.outcome, tt.reason, tt.detail)
		})
	}
}

func TestUDPThatIsCancelledHasNotPassed(t *testing.T) {
	check, err := UDP{SilencePasses: true}.checker()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := check(ctx, time.Now(), Target{Address: answer(t, mute)}); got.Outcome == Pass {
		t.Errorf("result = %+v, want no pass", got)
	}
}
