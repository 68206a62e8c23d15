package healthcheck

import (
	"testing"
	"time"
)

// TestRedisAgainstRedis has a server without and with a password.
func TestRedisAgainstRedis(t *testing.T) {
	for _, password := range []string{"", "secret"} {
		address := freePort(t)
		args := []string{"--bind", "127.0.0.1", "--port", portOf(address), "--save", "", "--dir", t.TempDir()}
		detail := ""
		if password != "" {
			args = append(args, "--requirepass", password)
			detail = "wants a password"
		}
		serve(t, address, "redis-server", args...)
		want(t, probe(t, Redis{}, address, 2*time.Second), Pass, ReasonAnswered, detail)
		want(t, probe(t, TCP{Send: Hex("PING\r\n"), Expect: Hex("\r\n")}, address, 2*time.Second), Pass, ReasonAnswered, "")
	}
}
