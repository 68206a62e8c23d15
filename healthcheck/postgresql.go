package healthcheck

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"time"
)

// PostgreSQL passes when the server answers a start-up message, be it by asking
// for a password or refusing the user.
type PostgreSQL struct {
	// User is the name to log in as; it defaults to "haldir".
	User string `json:"user,omitempty"`
}

func (s PostgreSQL) checker() (Checker, error) {
	if err := validUser(s.User); err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		return s.start(conn)
	}, nil
}

func (s PostgreSQL) start(conn io.ReadWriter) Result {
	const doing = "the answer to the login"
	body := binary.BigEndian.AppendUint32(nil, 3<<16) // protocol 3.0
	body = append(body, "user\x00"+cmp.Or(s.User, "haldir")+"\x00\x00"...)
	if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)); err != nil {
		return talkResult(err, doing)
	}
	for range 8 {
		var header [5]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return talkResult(err, doing)
		}
		length := binary.BigEndian.Uint32(header[1:])
		if length < 4 || length > 8192 {
			return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "not a message of this protocol"}
		}
		message := make([]byte, length-4)
		if _, err := io.ReadFull(conn, message); err != nil {
			return talkResult(err, doing)
		}
		switch header[0] {
		case 'R': // how to authenticate, or that it is done
			_, _ = conn.Write([]byte{'X', 0, 0, 0, 4}) // the server is judged already
			return Result{Outcome: Pass, Reason: ReasonAnswered}
		case 'E':
			return postgresError(message)
		case 'N', 'v': // a notice, or an older minor version
		default:
			return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "a message of no known kind"}
		}
	}
	return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "the login has no end"}
}

// postgresError judges an error. Class 28 refuses the user and 3D000 says that
// there is no database of its name, both of which a healthy server does.
func postgresError(message []byte) Result {
	var code, text string
	for field := range bytes.SplitSeq(message, []byte{0}) {
		switch {
		case len(field) > 1 && field[0] == 'C':
			code = string(field[1:])
		case len(field) > 1 && field[0] == 'M':
			text = string(field[1:])
		}
	}
	switch {
	case strings.HasPrefix(code, "28"), code == "3D000":
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: "it refuses the user"}
	case code == "":
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "an error without a code"}
	}
	return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: shorten("error " + code + ": " + text)}
}
