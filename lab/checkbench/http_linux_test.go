package checkbench

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// answer is what the farm says to an HTTP check.
const answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

// BenchmarkHTTP measures HTTP checks as BenchmarkTCP does connections.
func BenchmarkHTTP(b *testing.B) {
	testenv.Root(b)
	const every = time.Second
	for _, targets := range []int{1000, 3000} {
		b.Run(fmt.Sprintf("targets=%d/every=%s", targets, every), func(b *testing.B) {
			f := newFarm(b, targets)
			f.talk.Store(true)
			p := startChecker(b)
			p.check(targetsAt(f, "http", "", every))
			await(b, "every target checked", time.Minute, func() bool { return f.missing.Load() == 0 })
			during(3 * time.Second)
			measure(b, p.observed, f, every, window)
		})
	}
}

// converse answers a request and waits for the client's reset.
func converse(conn int) {
	request := make([]byte, 2048)
	for {
		n, err := unix.Read(conn, request)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && n > 0:
			_, _ = unix.Write(conn, []byte(answer))
		}
		_ = unix.Close(conn)
		return
	}
}
