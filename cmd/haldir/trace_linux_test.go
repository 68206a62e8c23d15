package main

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/internal/trace"
)

func (s *segment) trace(args ...string) (int, string) {
	s.t.Helper()
	return s.run(nil, append([]string{"trace", "-c", s.config, "--run-dir", s.runDir}, args...)...)
}

func TestTraceFindsTheDirector(t *testing.T) {
	s := newSegment(t, webCluster)
	if status, output := s.trace("192.0.2.77", "192.0.2.100:80"); status != exitProblem || !strings.Contains(output, "nobody that this host can ask has 192.0.2.100") {
		t.Errorf("without a director: status %d, output:\n%s", status, output)
	}
	s.station(0x22, "192.0.2.3/24", "192.0.2.100/24")
	status, output := s.trace("192.0.2.77", "192.0.2.100:80")
	for _, want := range []string{
		"tcp 192.0.2.77 -> 192.0.2.100:80\n",
		"director     02:00:00:00:00:22 answers for 192.0.2.100\n",
		"service      tcp 192.0.2.100:80 (web), wlc, as the configuration has it\n",
		"hop 1        client 192.0.2.77 -> director 02:00:00:00:00:22\n             MAC unknown -> 02:00:00:00:00:22\n             IP 192.0.2.77 -> 192.0.2.100:80\n",
		"run haldir trace there\n",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("output lacks %q:\n%s", want, output)
		}
	}
	if status != exitDone {
		t.Errorf("status %d, want %d", status, exitDone)
	}
	status, output = s.trace("192.0.2.77", "192.0.2.100:80", "--json")
	var j trace.Journey
	if err := json.Unmarshal([]byte(output), &j); err != nil || status != exitDone || len(j.Hops) != 1 || j.Hops[0].DestinationMAC != "02:00:00:00:00:22" {
		t.Errorf("status %d, %v, journey %+v", status, err, j)
	}
}

func TestTraceRefuses(t *testing.T) {
	config := write(t, webCluster)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"x", "192.0.2.100:80"}, `haldir: "x" is neither an address nor an address and port`},
		{[]string{"192.0.2.7", "192.0.2.100"}, `haldir: "192.0.2.100" is no address and port, as in "192.0.2.100:80"`},
		{[]string{"192.0.2.7", "192.0.2.100:0"}, `haldir: "192.0.2.100:0" is no address and port, as in "192.0.2.100:80"`},
		{[]string{"2001:db8::7", "192.0.2.100:80"}, "haldir: 2001:db8::7 and 192.0.2.100 are of two families"},
		{[]string{"192.0.2.7", "192.0.2.100:80", "--protocol", "icmp"}, `haldir: protocol "icmp" is not one of tcp, udp, sctp`},
		{[]string{"192.0.2.7", "192.0.2.100:80", "--count", "0"}, "haldir: --count 0: legal is 1 to 10000"},
		{[]string{"192.0.2.7", "192.0.2.100:80", "--timeout", "1ms"}, "haldir: --timeout 1ms: legal is 1s to 1h"},
	} {
		status, _, stderr := haldir(append([]string{"trace", "-c", config}, tt.args...)...)
		if status != exitUsage || strings.TrimSpace(stderr) != tt.want {
			t.Errorf("%v: status %d, %q, want %d and %q", tt.args, status, stderr, exitUsage, tt.want)
		}
	}
}

// dial tries to connect from a station until the test ends.
func (s *segment) dial(from *testenv.Netns, to string) {
	s.t.Helper()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			from.Do(s.t, func() {
				if conn, err := net.DialTimeout("tcp", to, time.Second); err == nil {
					_ = conn.Close()
				}
			})
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	s.t.Cleanup(func() {
		close(stop)
		<-ended
	})
}

func TestTraceLiveCapturesBothDirections(t *testing.T) {
	s := newSegment(t, webCluster)
	client := s.station(0x77, "192.0.2.77/24")
	s.inside(s.ns, func() error { return hold("br0", "192.0.2.100/24") })
	s.dial(client, "192.0.2.100:80")
	log, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	cmd, _ := s.command(nil, "trace", "-c", s.config, "--run-dir", s.runDir, "192.0.2.77", "192.0.2.100:80", "--live", "--count", "4", "--json")
	cmd.Stdout, cmd.Stderr = log, nil
	s.ns.Do(t, func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	bound := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer bound.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("haldir trace: %v", err)
	}
	text, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	var in, out int
	for line := range strings.Lines(string(text)) {
		var f trace.Frame
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch {
		case f.Interface != "br0":
			t.Errorf("frame on %s, want br0 alone", f.Interface)
		case !f.Out && f.SourceMAC == "02:00:00:00:00:77" && f.Flags == "SYN" && f.To == "this host, br0":
			in++
		case f.Out && f.DestinationMAC == "02:00:00:00:00:77" && f.Flags == "ACK RST": // nobody listens
			out++
		default:
			t.Errorf("frame %+v", f)
		}
	}
	if in != 2 || out != 2 {
		t.Errorf("%d frames in, %d out, want 2 and 2:\n%s", in, out, text)
	}
	status, output := s.trace("192.0.2.78", "192.0.2.100:80", "--live", "--timeout", "1s")
	if status != exitProblem || !strings.Contains(output, "no frame of 192.0.2.78 to 192.0.2.100:80 passed") {
		t.Errorf("another client: status %d, output %q", status, output)
	}
}
