package healthcheck

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"time"
)

// SMTP passes when the server greets and answers EHLO, and with StartTLS also
// STARTTLS and the EHLO after it.
type SMTP struct {
	// Helo is the name given in EHLO; it defaults to "localhost".
	Helo     string `json:"helo,omitempty"`
	StartTLS bool   `json:"starttls,omitempty"`
	// TLS matters with StartTLS only.
	TLS
}

func (s SMTP) checker() (Checker, error) {
	if !isHost(s.Helo) {
		return nil, fmt.Errorf("helo %q: not a host name", shorten(s.Helo))
	}
	if !s.StartTLS {
		if s.TLS != (TLS{}) {
			return nil, errors.New("TLS options without starttls")
		}
		return func(ctx context.Context, _ time.Time, t Target) Result {
			conn, end, err := open(ctx, t)
			if err != nil {
				return dialResult(err)
			}
			defer end()
			talk := newDialogue(conn)
			if r := s.greet(talk); r.Outcome != Pass {
				return r
			}
			talk.quit()
			return Result{Outcome: Pass, Reason: ReasonAnswered}
		}, nil
	}
	client, err := s.TLS.client("")
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, now time.Time, t Target) Result { return s.secure(ctx, now, t, client) }, nil
}

// greet takes the banner and says EHLO.
func (s SMTP) greet(talk *dialogue) Result {
	if _, r := talk.expect(220, "the banner"); r.Outcome != Pass {
		return r
	}
	return s.ehlo(talk)
}

func (s SMTP) ehlo(talk *dialogue) Result {
	if r := talk.say("EHLO " + cmp.Or(s.Helo, "localhost")); r.Outcome != Pass {
		return r
	}
	extensions, r := talk.expect(250, "the answer to EHLO")
	if r.Outcome == Pass && s.StartTLS && !talk.secure && !strings.Contains("\n"+strings.ToUpper(extensions)+"\n", "\nSTARTTLS\n") {
		return Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: "the server does not offer STARTTLS"}
	}
	return r
}

func (s SMTP) secure(ctx context.Context, now time.Time, t Target, client *tlsClient) Result {
	conn, end, err := open(ctx, t)
	if err != nil {
		return dialResult(err)
	}
	defer end()
	talk := newDialogue(conn)
	if r := s.greet(talk); r.Outcome != Pass {
		return r
	}
	if r := talk.say("STARTTLS"); r.Outcome != Pass {
		return r
	}
	if _, r := talk.expect(220, "the answer to STARTTLS"); r.Outcome != Pass {
		return r
	}
	// What came in the clear together with the answer might be another's words.
	if talk.reader.R.Buffered() > 0 {
		return Result{Outcome: Fail, Reason: ReasonMalformed, Detail: "more than the answer to STARTTLS"}
	}
	secure, err := client.handshake(ctx, conn, t)
	if err != nil {
		return handshakeResult(err)
	}
	talk = newDialogue(secure)
	talk.secure = true
	if r := s.ehlo(talk); r.Outcome != Pass {
		return r
	}
	talk.quit()
	return client.margins(now, secure.ConnectionState(), Result{Outcome: Pass, Reason: ReasonAnswered})
}

// dialogue is a conversation by lines with numbered replies.
type dialogue struct {
	limit  *limitedReader
	reader *textproto.Reader
	writer io.Writer
	secure bool
}

// smtpLimit bounds what is read of a server's replies, in bytes. It is small
// because the library joins the lines of a reply one by one.
const smtpLimit = 8 << 10

func newDialogue(conn io.ReadWriter) *dialogue {
	limit := &limitedReader{from: conn, left: smtpLimit}
	return &dialogue{limit: limit, reader: textproto.NewReader(bufio.NewReader(limit)), writer: conn}
}

func (d *dialogue) say(line string) Result {
	if _, err := io.WriteString(d.writer, line+"\r\n"); err != nil {
		return talkResult(err, "the server to listen to "+line)
	}
	return Result{Outcome: Pass}
}

// expect reads a reply, which has to have the given code. It returns the text of
// the reply without the codes.
func (d *dialogue) expect(code int, doing string) (string, Result) {
	_, text, err := d.reader.ReadResponse(code)
	var (
		other     *textproto.Error
		malformed textproto.ProtocolError
	)
	switch {
	case err == nil:
		return text, Result{Outcome: Pass}
	case errors.As(err, &other):
		return "", Result{Outcome: Fail, Reason: ReasonUnexpected, Detail: shorten(fmt.Sprintf("%03d %s", other.Code, other.Msg))}
	case errors.As(err, &malformed):
		return "", Result{Outcome: Fail, Reason: ReasonMalformed, Detail: shorten(malformed.Error())}
	case d.limit.err != nil:
		return "", talkResult(d.limit.err, doing)
	}
	return "", talkResult(err, doing)
}

// quit takes leave as the protocol asks. The server is judged already.
func (d *dialogue) quit() {
	if d.say("QUIT").Outcome == Pass {
		_, _ = d.expect(221, "the answer to QUIT")
	}
}
