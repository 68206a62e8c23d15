package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// drained takes what the outbox holds, as "kind:body".
func drained(t *testing.T, o *outbox) []string {
	t.Helper()
	var got []string
	for {
		data, ok := o.next()
		if !ok {
			return got
		}
		var m Message
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatalf("the outbox holds %q: %v", data, err)
		}
		got = append(got, m.Kind+":"+string(m.Body))
	}
}

func TestOutboxKeepsTheNewestOfAKindAndKey(t *testing.T) {
	type put struct {
		kind, key string
		body      int
	}
	for _, test := range []struct {
		name string
		puts []put
		want []string
	}{
		{"order", []put{{"a", "", 1}, {"b", "", 2}, {"c", "", 3}}, []string{"a:1", "b:2", "c:3"}},
		{"replaced and moved to the end", []put{{"a", "", 1}, {"b", "", 2}, {"a", "", 3}}, []string{"b:2", "a:3"}},
		{"other key", []put{{"a", "x", 1}, {"a", "y", 2}, {"a", "x", 3}}, []string{"a:2", "a:3"}},
		{"kind and key are not run together", []put{{"ab", "c", 1}, {"a", "bc", 2}}, []string{"ab:1", "a:2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := newOutbox()
			for _, p := range test.puts {
				if err := o.put(p.kind, p.key, p.body); err != nil {
					t.Fatal(err)
				}
			}
			if got := drained(t, o); !slices.Equal(got, test.want) {
				t.Errorf("delivered %q, want %q", got, test.want)
			}
			if len(o.waiting) != 0 {
				t.Errorf("%d names are remembered by an empty outbox", len(o.waiting))
			}
		})
	}
}

func TestOutboxDoesNotReplaceWhatWasTaken(t *testing.T) {
	o := newOutbox()
	for i := range 2 {
		if err := o.put("a", "", i); err != nil {
			t.Fatal(err)
		}
		want := []string{fmt.Sprintf("a:%d", i)}
		if got := drained(t, o); !slices.Equal(got, want) {
			t.Errorf("delivered %q, want %q", got, want)
		}
	}
}

func TestOutboxIsBoundedByItsNames(t *testing.T) {
	o := newOutbox()
	for i := range 10_000 {
		if err := o.put("verdict", fmt.Sprint(i%10), i); err != nil {
			t.Fatal(err)
		}
	}
	if n := o.queue.Len(); n != 10 {
		t.Errorf("%d messages wait for a dead peer, want 10", n)
	}
}

func TestOutboxTakeWaits(t *testing.T) {
	o := newOutbox()
	got := make(chan string)
	go func() {
		data, _ := o.take()
		got <- string(data)
	}()
	if err := o.put("a", "", 1); err != nil {
		t.Fatal(err)
	}
	if data, want := <-got, `{"kind":"a","body":1}`; data != want {
		t.Errorf("take = %s, want %s", data, want)
	}
}

func TestOutboxClose(t *testing.T) {
	o := newOutbox()
	if err := o.put("a", "", 1); err != nil {
		t.Fatal(err)
	}
	o.close()
	o.close()
	if data, ok := o.take(); ok {
		t.Errorf("take of a closed outbox = %s, want nothing", data)
	}
	if err := o.put("a", "", 2); !errors.Is(err, ErrClosed) {
		t.Errorf("put into a closed outbox = %v, want %v", err, ErrClosed)
	}
}

func TestOutboxRefusesWhatIsNoJSON(t *testing.T) {
	o := newOutbox()
	if err := o.put("a", "", func() {}); err == nil {
		t.Error("a function was accepted as a body")
	}
	if got := drained(t, o); len(got) != 0 {
		t.Errorf("delivered %q, want nothing", got)
	}
}
