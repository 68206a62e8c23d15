package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab/traffic"
)

func TestTheDemonstration(t *testing.T) {
	testenv.IPVS(t)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	err = Demo(bound(t, 2*demoBound), DemoOptions{
		Options: Options{Haldir: haldirBinary(t)}, Spec: DefaultSpec(ForwardDR), Out: out, Kernel: "a test",
	})
	if err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	for _, want := range []string{
		"Election. d1 is master", "Every real server answers", "A process dies.", "The master crashes.",
		"d2 is master and every request is answered again", "A real server dies.", "rs1 is out", "d1 is master again",
		"what happened", "d1 loses its power", "a backup waits 3 x 100ms and a skew of 2ms",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the demonstration does not say %q", want)
		}
	}
	if strings.Contains(string(text), "\x1b") {
		t.Error("escape codes in a file")
	}
}

func TestADemonstrationNeedsAPairAndRealServers(t *testing.T) {
	spec := DefaultSpec(ForwardDR)
	spec.Lab.RealServers = 1
	if err := Demo(t.Context(), DemoOptions{Spec: spec}); err == nil || !strings.Contains(err.Error(), "two real servers") {
		t.Errorf("error = %v, want it to say what is needed", err)
	}
}

func TestWhatDidNotHappenAsItShouldIsAFault(t *testing.T) {
	good := traffic.Report{Stream: "udp", Sent: 100, Answered: 100}
	lossy := traffic.Report{Stream: "udp", Sent: 100, Answered: 90, Lost: 10}
	long := lossy
	long.Gap.Duration = 5 * time.Second
	busy := lossy
	busy.Lateness.P99 = 200 * time.Millisecond
	short := lossy
	short.Gap.Duration = 310 * time.Millisecond
	tests := []struct {
		name   string
		act    act
		report traffic.Report
		want   string
		note   string
	}{
		{"well", act{spotless: true}, good, "", ""},
		{"losses where none may be", act{title: "t", spotless: true}, lossy, "t: 10 requests were lost, none should have been", ""},
		{"an outage by the timers", act{floor: 302 * time.Millisecond}, short, "", ""},
		{"an outage beyond", act{title: "t", floor: 302 * time.Millisecond}, long, "t: an outage of 5s, the timers say 302ms", ""},
		{"nothing sent", act{title: "t"}, traffic.Report{Stream: "udp"}, "t: no request was sent", ""},
		{"losses on a busy machine", act{title: "t", spotless: true}, busy, "", "t: 10 requests were lost, none should have been; the machine was busy, the client was 200ms late itself"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := &demo{spec: DefaultSpec(ForwardDR), acts: []act{test.act}}
			notes, err := d.judge([]traffic.Report{test.report})
			if got := strings.Join(notes, "\n"); got != test.note {
				t.Errorf("notes = %q, want %q", got, test.note)
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("judge = %v, want nothing to complain of", err)
			case test.want != "" && (err == nil || err.Error() != test.want):
				t.Errorf("judge = %v, want %q", err, test.want)
			}
		})
	}
}

func TestThePaceOfTheDemonstrationIsTold(t *testing.T) {
	for _, c := range []struct {
		sent, skipped uint64
		want          string
	}{
		{5000, 0, "The client sent 1000 requests a second."},
		{1000, 4000, "it sent 200, and none in the stead"},
	} {
		if got := pace(1000, c.sent, c.skipped); !strings.Contains(got, c.want) {
			t.Errorf("sent %d, skipped %d: %q, want %q", c.sent, c.skipped, got, c.want)
		}
	}
}
