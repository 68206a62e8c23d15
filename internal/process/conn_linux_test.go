package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// receive returns the next message.
func receive(t *testing.T, l Link) Message {
	t.Helper()
	select {
	case m, ok := <-l.Receive():
		if !ok {
			t.Fatal("the link ended")
		}
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	panic("unreachable")
}

// wantMessage receives the next message and compares it.
func wantMessage(t *testing.T, l Link, kind string, body any) {
	t.Helper()
	want, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	got := receive(t, l)
	if got.Kind != kind || !bytes.Equal(got.Body, want) {
		t.Fatalf("received %s with %d bytes (%.60s), want %s with %d bytes (%.60s)", got.Kind, len(got.Body), got.Body, kind, len(want), want)
	}
}

func send(t *testing.T, l Link, kind, key string, body any) {
	t.Helper()
	if err := l.Send(kind, key, body); err != nil {
		t.Fatal(err)
	}
}

// wire is a socket pair whose ends outlive the links on them, as in a
// supervisor.
type wire struct{ a, b *os.File }

func newWire(t *testing.T) wire {
	t.Helper()
	a, b, err := socketPair("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return wire{a, b}
}

// conn starts a link on a duplicate of the end, as a process that inherits it.
func conn(t *testing.T, end *os.File) *Conn {
	t.Helper()
	fd, err := syscall.Dup(int(end.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewConn(os.NewFile(uintptr(fd), end.Name()), quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// links runs a test on both implementations of Link.
func links(t *testing.T, test func(t *testing.T, a, b Link)) {
	t.Run("pipe", func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		test(t, a, b)
	})
	t.Run("socket", func(t *testing.T) {
		w := newWire(t)
		test(t, conn(t, w.a), conn(t, w.b))
	})
}

func TestLinkCarriesMessagesOfAnySizeBothWays(t *testing.T) {
	links(t, func(t *testing.T, a, b Link) {
		for _, size := range []int{0, 1, 60 << 10, 64 << 10, 200 << 10, 8 << 20} {
			text := strings.Repeat("x", size)
			send(t, a, "there", "", text)
			wantMessage(t, b, "there", text)
			send(t, b, "back", "", text)
			wantMessage(t, a, "back", text)
		}
	})
}

func TestLinkKeepsTheOrderOfWhatIsNotReplaced(t *testing.T) {
	links(t, func(t *testing.T, a, b Link) {
		const n = 500
		for i := range n {
			send(t, a, "n", fmt.Sprint(i), i)
		}
		for i := range n {
			wantMessage(t, b, "n", i)
		}
	})
}

func TestLinkSendNeverBlocksAndDropsWhatIsOutOfDate(t *testing.T) {
	links(t, func(t *testing.T, a, b Link) {
		big := strings.Repeat("x", 20<<10)
		const n = 300 // far more than the link holds
		for i := range n {
			send(t, a, "state", "", fmt.Sprintf("%d %s", i, big))
		}
		send(t, a, "last", "", nil)
		newest, count := -1, 0
		for {
			m := receive(t, b)
			if m.Kind == "last" {
				break
			}
			var text string
			if err := m.Decode(&text); err != nil {
				t.Fatal(err)
			}
			var i int
			if _, err := fmt.Sscan(text, &i); err != nil || i <= newest {
				t.Fatalf("state %d came after %d (%v)", i, newest, err)
			}
			newest = i
			count++
		}
		if newest != n-1 {
			t.Errorf("the last state that came is %d, want %d", newest, n-1)
		}
		if count > n/2 {
			t.Errorf("%d of %d states came: those out of date are not replaced", count, n)
		}
	})
}

func TestLinkIsForManySenders(t *testing.T) {
	links(t, func(t *testing.T, a, b Link) {
		const senders, each = 8, 50
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := range each {
					if err := a.Send("n", fmt.Sprint(s, "/", i), [2]int{s, i}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		next := make([]int, senders)
		for range senders * each {
			var got [2]int
			if err := receive(t, b).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got[1] != next[got[0]] {
				t.Fatalf("sender %d: message %d came, want %d", got[0], got[1], next[got[0]])
			}
			next[got[0]]++
		}
		all.Wait()
	})
}

func TestLinkClose(t *testing.T) {
	links(t, func(t *testing.T, a, b Link) {
		for range 2 {
			if err := a.Close(); err != nil {
				t.Errorf("closing: %v", err)
			}
		}
		if err := a.Send("x", "", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("sending on a closed link: %v, want %v", err, ErrClosed)
		}
	})
}

func TestLinkCloseDoesNotWaitForAPeerThatDoesNotRead(t *testing.T) {
	w := newWire(t) // nobody reads from w.b
	a := conn(t, w.a)
	send(t, a, "big", "", strings.Repeat("x", 8<<20))
	closed := make(chan error)
	go func() { closed <- a.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("closing: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("closing waits for the peer")
	}
}

func TestLinkEndsWhenEveryHolderOfTheOtherEndIsGone(t *testing.T) {
	w := newWire(t)
	a, b := conn(t, w.a), conn(t, w.b)
	_ = b.Close()
	send(t, a, "x", "", "the supervisor still holds the end")
	_ = w.b.Close()
	select {
	case m, ok := <-a.Receive():
		if ok {
			t.Errorf("received %v from nobody", m)
		}
	case <-time.After(patience):
		t.Fatal("the link does not end")
	}
}

func TestSuccessorOfADeadReaderGetsWhatIsQueuedMeanwhile(t *testing.T) {
	w := newWire(t)
	writer, reader := conn(t, w.a), conn(t, w.b)
	send(t, writer, "n", "1", 1)
	wantMessage(t, reader, "n", 1)
	_ = reader.Close() // the process died

	for i := range 3 {
		send(t, writer, "n", fmt.Sprint(i), 10+i)
	}
	big := strings.Repeat("x", 3<<20) // waits in the writer: no socket holds it
	send(t, writer, "big", "", big)

	successor := conn(t, w.b)
	for i := range 3 {
		wantMessage(t, successor, "n", 10+i)
	}
	wantMessage(t, successor, "big", big)
	send(t, successor, "back", "", 2)
	wantMessage(t, writer, "back", 2)
}

func TestSuccessorOfAReaderThatDiedInAMessageSkipsItsRest(t *testing.T) {
	w := newWire(t)
	writer := conn(t, w.a)
	big := strings.Repeat("x", 2<<20)
	send(t, writer, "torn", "", big)
	// The reader gets one record and dies.
	record := make([]byte, recordSize)
	n, err := readRecord(w.b, record)
	if err != nil || n != recordSize {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	send(t, writer, "whole", "", big)
	successor := conn(t, w.b)
	wantMessage(t, successor, "whole", big)
}

func TestReaderOutlivesAWriterThatDiedInAMessage(t *testing.T) {
	w := newWire(t)
	reader := conn(t, w.b)
	torn, err := json.Marshal(Message{Kind: "torn", Body: json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records(t, 1, torn)[:3] {
		if _, err := w.a.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	successor := conn(t, w.a)
	send(t, successor, "whole", "", "y")
	wantMessage(t, reader, "whole", "y")
}

func TestReaderOutlivesRubbish(t *testing.T) {
	w := newWire(t)
	reader := conn(t, w.b)
	for _, r := range [][]byte{[]byte("x"), bytes.Repeat([]byte{0xff}, 100), records(t, 1, []byte("{no json"))[0], records(t, 2, nil)[0]} {
		if _, err := w.a.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	send(t, conn(t, w.a), "fine", "", 1)
	wantMessage(t, reader, "fine", 1)
}

func TestDecodeNamesTheKind(t *testing.T) {
	var n int
	err := Message{Kind: "count", Body: json.RawMessage(`"many"`)}.Decode(&n)
	if err == nil || !strings.Contains(err.Error(), `decoding a "count" message`) {
		t.Errorf("Decode = %v, want an error that names the kind", err)
	}
}

func TestNewConnRefusesWhatIsNoSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := NewConn(f, quiet()); err == nil {
		_ = c.Close()
		t.Error("a file was taken for a link")
	} else if !strings.Contains(err.Error(), os.DevNull) {
		t.Errorf("NewConn = %v, want an error that names the descriptor", err)
	}
}

// readRecord reads from an end without starting a link.
func readRecord(end *os.File, into []byte) (int, error) {
	if err := end.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return end.Read(into)
}
