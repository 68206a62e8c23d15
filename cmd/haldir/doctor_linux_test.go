package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/vrrp"
)

// examined runs haldir doctor and returns its status and the kinds that it found,
// but for what the machine that runs the tests is like.
func (s *segment) examined(args ...string) (int, []string) {
	s.t.Helper()
	status, output := s.run(nil, append([]string{"doctor", "-c", s.config, "--run-dir", s.runDir, "--json"}, args...)...)
	var e examination
	if err := json.Unmarshal([]byte(output), &e); err != nil {
		s.t.Fatalf("%v: %s", err, output)
	}
	for _, u := range e.Unknown {
		if !strings.HasPrefix(u.What, "whether there is a kernel module") {
			s.t.Errorf("unknown: %+v", u)
		}
	}
	var kinds []string
	for _, f := range e.Findings {
		if f.ID != "clock-unsynchronised" && f.ID != "scheduler-late" {
			kinds = append(kinds, f.ID)
		}
	}
	return status, kinds
}

// speak sends an advert again and again until the test ends.
func (s *segment) speak(from *testenv.Netns, source string, p vrrp.Packet) {
	s.t.Helper()
	group := netip.MustParseAddr("224.0.0.18")
	message, err := p.Append(nil, netip.MustParseAddr(source), group)
	if err != nil {
		s.t.Fatal(err)
	}
	var conn net.Conn
	s.inside(from, func() (err error) {
		conn, err = net.DialIP("ip4:112", &net.IPAddr{IP: net.ParseIP(source)}, &net.IPAddr{IP: group.AsSlice()})
		return err
	})
	ticker, ended := time.NewTicker(50*time.Millisecond), make(chan struct{})
	go func() {
		defer close(ended)
		for range ticker.C {
			if _, err := conn.Write(message); err != nil {
				return
			}
		}
	}()
	s.t.Cleanup(func() {
		_ = conn.Close()
		<-ended
		ticker.Stop()
	})
}

// What it sees there is tested in internal/doctor.
func TestDoctorSeesTheSegment(t *testing.T) {
	cluster := strings.Replace(router, `"lo"`, `"br0"`, 1)
	ours := vrrp.Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.100")}}
	tests := []struct {
		name   string
		fault  func(*segment)
		status int
		want   []string
	}{
		{"a master that speaks and answers", func(s *segment) {
			s.speak(s.station(0x22, "192.0.2.3/24", "192.0.2.100/24"), "192.0.2.3", ours)
		}, exitDone, nil},
		{"nobody", func(*segment) {}, exitDone, []string{"vip-unanswered"}},
		{"two owners", func(s *segment) {
			s.station(0x22, "192.0.2.100/24")
			s.station(0x33, "192.0.2.100/24")
		}, exitProblem, []string{"duplicate-vip"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // each waits for two seconds
			s := newSegment(t, cluster)
			tt.fault(s)
			status, kinds := s.examined("--node", "lvs1")
			if d := cmp.Diff(tt.want, kinds); d != "" || status != tt.status {
				t.Errorf("status %d, want %d; kinds of findings (-want +got):\n%s", status, tt.status, d)
			}
		})
	}
}

func TestDoctorWithoutProbes(t *testing.T) {
	s := newSegment(t, strings.Replace(router, `"lo"`, `"br0"`, 1))
	status, kinds := s.examined("--node", "lvs1", "--no-probe") // with them: vip-unanswered
	if status != exitDone || len(kinds) > 0 {
		t.Errorf("status %d, findings %v, want %d and none", status, kinds, exitDone)
	}
}

func TestDoctorRefusesAWrongConfiguration(t *testing.T) {
	status, _, stderr := haldir("doctor", "-c", write(t, "colour = \"red\"\n"))
	if status != exitUsage || !strings.Contains(stderr, "colour") {
		t.Errorf("status %d, %q, want %d and the key", status, stderr, exitUsage)
	}
	status, _, stderr = haldir("doctor", "-c", "/nonexistent/haldir.toml")
	if status != exitUsage || !strings.Contains(stderr, "no such file") {
		t.Errorf("a file that is not there: status %d, %q, want %d", status, stderr, exitUsage)
	}
}
