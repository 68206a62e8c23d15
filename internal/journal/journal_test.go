package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func event(i int) Event {
	return Event{At: noon.Add(time.Duration(i) * time.Second), Kind: KindTransition, Subject: fmt.Sprint(i)}
}

// opened is a journal whose earlier events are read.
func opened(t *testing.T, path string) *Journal {
	t.Helper()
	j := New(path)
	j.Start()
	t.Cleanup(func() { j.Close(patience) })
	<-j.Recalled()
	return j
}

func subjects(events []Event) string {
	var all []string
	for _, e := range events {
		all = append(all, e.Subject)
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, j *Journal, when, want string) []Event {
	t.Helper()
	all, _ := j.After(0, time.Time{})
	if got := subjects(all); got != want {
		t.Errorf("%s: events %q, want %q", when, got, want)
	}
	return all
}

func TestEventsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "events.jsonl")
	j := opened(t, path)
	full := Event{At: noon, Kind: KindOperator, Subject: "failover", From: "a", To: "b", Reason: "c", Detail: "d\ne", By: "alice"}
	j.Add(full)
	j.Add(event(1))
	j.Close(patience)

	j = opened(t, path)
	j.Add(event(2))
	all := want(t, j, "after a restart", "failover 1 2")
	full.ID = all[0].ID
	if all[0] != full {
		t.Errorf("the event came back as %+v, want %+v", all[0], full)
	}
	if problem, lost := j.Trouble(); problem != "" || lost != 0 {
		t.Errorf("trouble: %q, %d lost", problem, lost)
	}
	j.Close(patience)
	want(t, opened(t, path), "after another one", "failover 1 2")
}

// IDs grow even where the clock stands still, or was set back.
func TestIDsGrow(t *testing.T) {
	j := New("unused")
	for _, at := range []time.Time{noon, noon, noon.Add(-time.Hour), noon.Add(time.Second)} {
		j.Add(Event{At: at})
	}
	all, _ := j.After(0, time.Time{})
	for i := 1; i < len(all); i++ {
		if all[i].ID <= all[i-1].ID {
			t.Errorf("ID %d after %d", all[i].ID, all[i-1].ID)
		}
	}
	if rest, _ := j.After(all[1].ID, time.Time{}); len(rest) != 2 {
		t.Errorf("%d events after the second of four, want 2", len(rest))
	}
	if recent, _ := j.After(0, noon); len(recent) != 3 {
		t.Errorf("%d events since noon, want 3", len(recent))
	}
}

func TestFollowersAreTold(t *testing.T) {
	j := New("unused")
	_, changed := j.After(0, time.Time{})
	select {
	case <-changed:
		t.Fatal("told without an event")
	default:
	}
	j.Add(event(1))
	select {
	case <-changed:
	default:
		t.Error("not told of an event")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	j := New("unused")
	for i := range keep + 10 {
		j.Add(event(i))
	}
	all, _ := j.After(0, time.Time{})
	if len(all) != keep || all[0].Subject != "10" {
		t.Errorf("%d events from %s, want %d from 10", len(all), all[0].Subject, keep)
	}
	// Nothing was written, so what went is lost.
	if _, lost := j.Trouble(); lost != 10 {
		t.Errorf("%d lost, want 10", lost)
	}
}

func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	j := opened(t, filepath.Join(dir, "events.jsonl"))
	long := strings.Repeat("x", 8<<10)
	const each, rounds = 100, 20 // four times what the two files may hold
	for i := range rounds {
		for k := range each {
			e := event(i*each + k)
			e.Detail = long
			j.Add(e)
		}
		// What is added faster than it is written may go.
		j.Close(0)
		j.Close(patience)
		j = opened(t, filepath.Join(dir, "events.jsonl"))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("files %v, %v, want 2", entries, err)
	}
	for _, entry := range entries {
		if info, _ := entry.Info(); info.Size() > maxFile {
			t.Errorf("%s has %d octets, more than %d", entry.Name(), info.Size(), maxFile)
		}
	}
	all, _ := j.After(0, time.Time{})
	if n := len(all); n < maxFile/len(long)/2 || all[n-1].Subject != fmt.Sprint(each*rounds-1) {
		t.Errorf("%d events are left, the last is %s", n, all[n-1].Subject)
	}
}

// A crash may cut a line off, and a disk may have anything.
func TestWhatIsNoEventIsSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	text := `{"id":1,"at":"2030-01-02T12:00:00Z","kind":"start","subject":"a"}` + "\nnonsense\n" + `{"id":2}` + "\n" + `{"id":1,"subject":"again"}` +
		"\n" + `{"id":3,"at":"2030-01-02T12:00:01Z","kind":"start","subject":"b"}` + "\n" + `{"id":4,"at":"2030-01-`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j := opened(t, path)
	want(t, j, "after a crash", "a  b")
	j.Add(event(9))
	j.Close(patience)
	want(t, opened(t, path), "what came after the line that was cut off", "a  b 9")
}

// A disk that fails loses nothing of what is in memory, and gets it later.
func TestADiskThatFailsIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "events.jsonl")
	if err := os.WriteFile(filepath.Join(dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j := opened(t, path)
	j.Add(event(1))
	await(t, "the trouble to be known", func() bool { problem, _ := j.Trouble(); return strings.Contains(problem, "not a directory") })
	if err := os.Remove(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	j.Add(event(2))
	await(t, "the trouble to be over", func() bool { problem, _ := j.Trouble(); return problem == "" })
	j.Close(patience)
	want(t, opened(t, path), "afterwards", "1 2")
}

// A disk that answers nothing stalls nobody: here a pipe that nobody reads.
func TestADiskThatIsStuckStallsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	j := New(path)
	j.Start()
	for i := range 2 * keep {
		j.Add(event(i))
	}
	all, _ := j.After(0, time.Time{})
	if len(all) != keep {
		t.Errorf("%d events in memory, want %d", len(all), keep)
	}
	began := time.Now()
	j.Close(50 * time.Millisecond)
	if took := time.Since(began); took > patience {
		t.Errorf("closing took %v", took)
	}
	// Let the goroutine go.
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	_ = writer.Close()
	<-j.Recalled()
	j.Close(patience)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAnEventInOneLine(t *testing.T) {
	for text, e := range map[string]Event{
		"transition edge: backup to master (master silent)":        {Kind: KindTransition, Subject: "edge", From: "backup", To: "master", Reason: "master silent"},
		"operator maintenance: on (new kernel), by root for alice": {Kind: KindOperator, Subject: "maintenance", To: "on", Detail: "new kernel", By: "root for alice"},
		"health web 192.0.2.11:80: up to down (timeout, after 1s)": {Kind: KindHealth, Subject: "web 192.0.2.11:80", From: "up", To: "down", Reason: "timeout", Detail: "after 1s"},
		"start": {Kind: KindStart},
	} {
		if got := e.String(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}
