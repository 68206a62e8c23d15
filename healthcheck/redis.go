package healthcheck

import (
	"bufio"
	"context"
	"io"
	"strings"
	"time"
)

// Redis passes when the server answers PING, be it by asking for a password.
type Redis struct{}

func (Redis) checker() (Checker, error) {
	return func(ctx context.Context, _ time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		return pingRedis(conn)
	}, nil
}

func pingRedis(conn io.ReadWriter) Result {
	const doing = "the answer to PING"
	if _, err := io.WriteString(conn, "*1\r\n$4\r\nPING\r\n"); err != nil {
		return talkResult(err, doing)
	}
	line, err := bufio.NewReader(&limitedReader{from: conn, left: readLimit}).ReadString('\n')
	if err != nil {
		return talkResult(err, doing)
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == "+PONG":
		return Result{Outcome: Pass, Reason: ReasonAnswered}
	case strings.HasPrefix(line, "-NOAUTH"):
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: "it wants a password"}
	case strings.HasPrefix(line, "-"):
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: shorten(line[1:])}
	}
	return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: quoted([]byte(line))}
}
