package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

func TestFramesAreLiteralBytes(t *testing.T) {
	var got bytes.Buffer
	if err := wire.Write(&got, wire.KindStdout, []byte("\x1b[1mhi\r")); err != nil {
		t.Fatal(err)
	}
	if err := wire.Write(&got, wire.KindDone, nil); err != nil {
		t.Fatal(err)
	}
	want := "\x03\x00\x00\x00\x07\x1b[1mhi\r" + "\x06\x00\x00\x00\x00"
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("unexpected bytes (-want +got)\n%s", diff)
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	var stream bytes.Buffer
	want := wire.Exit{Step: 2, Status: 3, TimedOut: true}
	if err := wire.WriteJSON(&stream, wire.KindExit, want); err != nil {
		t.Fatal(err)
	}
	kind, payload, err := wire.Read(&stream)
	if err != nil || kind != wire.KindExit {
		t.Fatalf("Read = kind %d, %v, want kind %d", kind, err, wire.KindExit)
	}
	var got wire.Exit
	if err := json.Unmarshal(payload, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected exit (-want +got)\n%s", diff)
	}
	if _, _, err := wire.Read(&stream); err != io.EOF {
		t.Errorf("Read at the end = %v, want io.EOF", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   error
	}{
		"kind 0":            {"\x00\x00\x00\x00\x00", wire.ErrMalformed},
		"unknown kind":      {"\x07\x00\x00\x00\x00", wire.ErrMalformed},
		"length over limit": {"\x03\x00\x01\x00\x01", wire.ErrMalformed},
		"cut in the header": {"\x03\x00\x00", io.ErrUnexpectedEOF},
		"cut after it":      {"\x03\x00\x00\x00\x02", io.ErrUnexpectedEOF},
		"cut in the body":   {"\x03\x00\x00\x00\x02a", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := wire.Read(bytes.NewReader([]byte(test.stream))); !errors.Is(err, test.want) {
				t.Errorf("Read = %v, want %v", err, test.want)
			}
		})
	}
}

func TestWriteRefusesAnOversizedPayload(t *testing.T) {
	if err := wire.Write(io.Discard, wire.KindStdout, make([]byte, wire.MaxPayload+1)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("Write = %v, want ErrMalformed", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x03\x00\x00\x00\x02hi\x06\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := bytes.NewReader(stream)
		var again bytes.Buffer
		for {
			kind, payload, err := wire.Read(r)
			if err != nil {
				break
			}
			if err := wire.Write(&again, kind, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(stream, again.Bytes()) {
			t.Errorf("frames read from %q were written as %q", stream, again.Bytes())
		}
	})
}
