package process

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

// records returns the records of a message.
func records(t testing.TB, number uint32, data []byte) [][]byte {
	t.Helper()
	var all [][]byte
	err := fragments(number, data, func(r []byte) error {
		all = append(all, bytes.Clone(r))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// assemble feeds records and returns the messages that come out.
func assemble(all ...[]byte) []string {
	var a assembler
	var got []string
	for _, r := range all {
		if data, ok := a.add(r); ok {
			got = append(got, string(data))
		}
	}
	return got
}

func TestFragmentsRoundTrip(t *testing.T) {
	const room = recordSize - headerSize
	for _, test := range []struct{ size, records int }{
		{0, 1}, {1, 1}, {room, 1}, {room + 1, 2}, {3 * room, 3}, {5 << 20, 161},
	} {
		data := bytes.Repeat([]byte("haldir!"), test.size/7+1)[:test.size]
		all := records(t, 7, data)
		if len(all) != test.records {
			t.Errorf("%d bytes travel in %d records, want %d", test.size, len(all), test.records)
		}
		for _, r := range all {
			if len(r) > recordSize {
				t.Errorf("a record has %d bytes, more than %d", len(r), recordSize)
			}
		}
		got := assemble(all...)
		if len(got) != 1 || got[0] != string(data) {
			t.Errorf("%d bytes do not come out as they went in", test.size)
		}
	}
}

func TestFragmentsStopAtAnError(t *testing.T) {
	refused := errors.New("refused")
	writes := 0
	err := fragments(1, make([]byte, 3*recordSize), func([]byte) error {
		writes++
		if writes == 2 {
			return refused
		}
		return nil
	})
	if !errors.Is(err, refused) || writes != 2 {
		t.Errorf("fragments = %v after %d writes, want %v after 2", err, writes, refused)
	}
}

func TestAssemblerSkipsTornMessages(t *testing.T) {
	const room = recordSize - headerSize
	long := func(c byte) []byte { return bytes.Repeat([]byte{c}, 2*room+5) }
	a, b := records(t, 1, long('a')), records(t, 2, long('b'))
	// A successor of the writer counts from 1 again.
	again := records(t, 1, long('c'))
	shorter := records(t, 1, long('d')[:room+1])
	short := records(t, 3, []byte("short"))[0]
	for _, test := range []struct {
		name string
		in   [][]byte
		want []string
	}{
		{"whole", slices.Concat(a, b), []string{string(long('a')), string(long('b'))}},
		{"the reader starts in the middle", slices.Concat(a[1:], b), []string{string(long('b'))}},
		{"the reader starts at the last record", slices.Concat(a[2:], b), []string{string(long('b'))}},
		{"the writer died in the middle", slices.Concat(a[:2], again), []string{string(long('c'))}},
		{"the writer died, the next message has other records", slices.Concat(a[:1], shorter), []string{string(long('d')[:room+1])}},
		{"a record is missing", slices.Concat(a[:1], a[2:], [][]byte{short}), []string{"short"}},
		{"a record twice", [][]byte{a[0], a[1], a[1], a[2], short}, []string{"short"}},
		{"two messages interleaved", [][]byte{a[0], b[0], a[1], b[1], a[2], b[2], short}, []string{"short"}},
		{"the end of another message", [][]byte{a[0], b[1], b[2], short}, []string{"short"}},
		{"the end of a longer message of the same number", [][]byte{shorter[0], again[1], short}, []string{"short"}},
		{"the count changes", [][]byte{a[0], shorter[1], short}, []string{"short"}},
		{"a record without a header", [][]byte{a[0], a[1], {1, 2, 3}, a[2]}, []string{string(long('a'))}},
		{"an empty record", [][]byte{a[0], a[1], {}, a[2]}, []string{string(long('a'))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := assemble(test.in...); !slices.Equal(got, test.want) {
				t.Errorf("%d messages come out, want %d and no other", len(got), len(test.want))
			}
		})
	}
}

func TestAssemblerRefusesCountsOutOfRange(t *testing.T) {
	for _, count := range []uint32{0, maxRecords + 1, 1<<32 - 1} {
		r := binary.BigEndian.AppendUint32(nil, 1)
		r = binary.BigEndian.AppendUint32(r, 0)
		r = append(binary.BigEndian.AppendUint32(r, count), "data"...)
		var a assembler
		if data, ok := a.add(r); ok || a.data != nil {
			t.Errorf("a message of %d records: %q is kept", count, data)
		}
	}
}

// FuzzAssembler cuts its input into records and feeds them.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02ab\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02cd"), uint16(14))
	f.Add([]byte("\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"), uint16(12))
	f.Add(bytes.Repeat([]byte{0}, 100), uint16(13))
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		var a assembler
		fed := 0
		for part := range slices.Chunk(in, max(1, int(size))) {
			fed += len(part)
			data, ok := a.add(part)
			if !ok && data != nil {
				t.Fatal("data of a message that is not whole")
			}
			if len(data)+len(a.data) > fed {
				t.Fatalf("%d bytes were fed, %d are held or came out", fed, len(data)+len(a.data))
			}
			if a.next > a.count || a.count > maxRecords {
				t.Fatalf("at record %d of %d", a.next, a.count)
			}
		}
		// Whatever was there before, a whole message gets through.
		got := []string(nil)
		for _, r := range records(t, 9, in) {
			if data, ok := a.add(r); ok {
				got = append(got, string(data))
			}
		}
		if len(got) != 1 || got[0] != string(in) {
			t.Fatalf("a whole message after rubbish comes out as %d messages", len(got))
		}
	})
}
