package healthcheck

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// MySQL passes when the server completes the handshake of MySQL and MariaDB, be
// it by refusing the user. A server whose greeting is left without an answer
// counts that, and locks this host out in the end.
type MySQL struct {
	// User is the name to log in as, without a password; it defaults to "haldir".
	User string `json:"user,omitempty"`
}

func (s MySQL) checker() (Checker, error) {
	if err := validUser(s.User); err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ time.Time, t Target) Result {
		conn, end, err := open(ctx, t)
		if err != nil {
			return dialResult(err)
		}
		defer end()
		return s.greet(conn)
	}, nil
}

func validUser(name string) error {
	if len(name) > 63 || strings.ContainsRune(name, 0) {
		return fmt.Errorf("user %q: not a name of up to 63 bytes", shorten(name))
	}
	return nil
}

// Kinds of packets and capabilities, by the protocol's own names.
const (
	mysqlOK         = 0x00
	mysqlMoreData   = 0x01
	mysqlAuthSwitch = 0xfe
	mysqlERR        = 0xff
	mysqlVersion10  = 0x0a

	clientLongPassword     = 1 << 0
	clientProtocol41       = 1 << 9
	clientSecureConnection = 1 << 15
	clientPluginAuth       = 1 << 19
)

func (s MySQL) greet(conn io.ReadWriter) Result {
	number, greeting, err := readMySQL(conn)
	switch {
	case err != nil:
		return mysqlResult(err, "the greeting")
	case greeting[0] == mysqlERR:
		return mysqlRefusal(greeting)
	case greeting[0] != mysqlVersion10 || bytes.IndexByte(greeting, 0) < 0:
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "not a greeting of protocol 10"}
	}
	login := binary.LittleEndian.AppendUint32(nil, clientLongPassword|clientProtocol41|clientSecureConnection|clientPluginAuth)
	login = binary.LittleEndian.AppendUint32(login, 1<<24) // largest packet
	login = append(login, 33)                              // utf8_general_ci
	login = append(login, make([]byte, 23)...)
	login = append(login, cmp.Or(s.User, "haldir")+"\x00\x00mysql_native_password\x00"...)
	for range 4 {
		if err := writeMySQL(conn, number+1, login); err != nil {
			return talkResult(err, "the answer to the login")
		}
		var answer []byte
		if number, answer, err = readMySQL(conn); err != nil {
			return mysqlResult(err, "the answer to the login")
		}
		switch answer[0] {
		case mysqlOK:
			// COM_QUIT; the server is judged already.
			_ = writeMySQL(conn, 0, []byte{1})
			return Result{Outcome: Pass, Reason: ReasonAnswered}
		case mysqlERR:
			return mysqlRefusal(answer)
		case mysqlAuthSwitch, mysqlMoreData:
			login = nil // no password, by any method
		default:
			return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "the answer to the login is of no known kind"}
		}
	}
	return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "the login has no end"}
}

// mysqlRefusal judges an ERR packet. Refusing the user is what a healthy server
// does: ER_ACCESS_DENIED_ERROR, ER_NOT_SUPPORTED_AUTH_MODE,
// ER_ACCESS_DENIED_NO_PASSWORD_ERROR.
func mysqlRefusal(packet []byte) Result {
	if len(packet) < 3 {
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "an error without a number"}
	}
	code, text := binary.LittleEndian.Uint16(packet[1:]), packet[3:]
	if len(text) > 6 && text[0] == '#' {
		text = text[6:]
	}
	switch code {
	case 1045, 1251, 1698:
		return Result{Outcome: Pass, Reason: ReasonAnswered, Detail: "it refuses the user"}
	}
	return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: fmt.Sprintf("error %d: %s", code, shorten(string(text)))}
}

var errMySQL = errors.New("not a packet of this protocol")

func mysqlResult(err error, doing string) Result {
	if errors.Is(err, errMySQL) {
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: err.Error()}
	}
	return talkResult(err, doing)
}

// readMySQL reads one packet, which has at least one byte.
func readMySQL(r io.Reader) (number byte, packet []byte, err error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if length == 0 || length > 4096 {
		return 0, nil, errMySQL
	}
	packet = make([]byte, length)
	_, err = io.ReadFull(r, packet)
	return header[3], packet, err
}

func writeMySQL(w io.Writer, number byte, packet []byte) error {
	n := len(packet)
	_, err := w.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), number}, packet...))
	return err
}
