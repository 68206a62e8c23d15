package main

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything is a status with every kind of line.
func everything() control.Status {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	yes, no, two, zero := true, false, uint32(2), uint32(0)
	recent := control.Of(740 * time.Millisecond)
	return control.Status{
		API: control.Version, Node: "lvs1", At: now, Release: "1.2.3 abcdef012345",
		Maintenance: &control.Maintenance{Since: ago(3 * time.Hour), By: control.Caller{User: "root", Login: "alice"}, Reason: "new kernel"},
		Config:      control.ConfigStatus{Path: "/etc/haldir/haldir.toml", Digest: "0123456789abcdef", Loaded: ago(49 * time.Hour)},
		Processes: []control.ProcessStatus{
			{Role: "supervisor", PID: 100, Since: ago(49 * time.Hour)},
			{Role: "speaker", PID: 101, Since: ago(49 * time.Hour), Scheduling: "round robin, real-time priority 10"},
			{Role: "director", PID: 140, Since: ago(90 * time.Second), Restarts: 1, LastExit: "signal: killed", Down: control.Of(12 * time.Millisecond), Scheduling: "ordinary, nice 0"},
			{Role: "checker", Since: ago(300 * time.Millisecond), Restarts: 12, LastExit: "exit status 1", Scheduling: "ordinary, nice 0"},
		},
		Routers: []control.RouterStatus{
			{
				Name: "edge", Interface: "eth0", VRID: 51, State: "master", Since: ago(25 * time.Hour), Reason: "master silent", Priority: 110, BasePriority: 150,
				PriorityReason: "process named down: -40",
				Trackers: []control.TrackerStatus{
					{Name: "interface eth1", State: "up", Since: ago(time.Hour)},
					{Name: "process named", State: "down", Since: ago(time.Minute), Checked: &recent, Reason: "process not running", Detail: "0 of 1", Weight: -40, Effect: "-40"},
					{Name: "gateway 192.0.2.254 by ping", State: "unknown", Reason: "check cannot be made", Detail: "no socket", Warning: true},
					{Name: "script /uplink", State: "down", Since: ago(time.Minute), Checked: &recent, Reason: "timeout", Stale: true, Effect: "not eligible"},
				},
				Notified: &control.NotifyStatus{State: "master", At: ago(25 * time.Hour), Took: &recent},
				Interval: control.Of(time.Second), Peer: &control.PeerStatus{Address: "192.0.2.2", Priority: 100, Age: control.Of(25 * time.Hour)},
				Addresses: []control.AddressStatus{
					{Address: "192.0.2.100/24", Interface: "eth0", Present: &yes, Ours: true, Announced: ago(42 * time.Second)},
					{Address: "192.0.2.101/24", Interface: "eth0", Present: &yes},
					{Address: "192.0.2.102/24", Interface: "eth0", Present: &no, Announced: ago(time.Second)},
					{Address: "192.0.2.103/24", Interface: "eth0"},
					{Address: "198.51.100.7/24", Interface: "eth1", Present: &yes, Ours: true, Extra: true},
				},
			},
			{
				Name: "inner", Interface: "eth1", VRID: 52, State: "backup", Since: ago(1500 * time.Millisecond), Reason: "successor heard", Priority: 100, Ceded: true,
				Interval: control.Of(100 * time.Millisecond), Peer: &control.PeerStatus{Address: "10.0.0.2", Priority: 150, Age: control.Of(33 * time.Millisecond)},
			},
			{Name: "lost", Interface: "eth2", VRID: 53, State: "unknown", Interval: control.Of(time.Second)},
		},
		Groups: []control.GroupStatus{
			{Name: "both", Members: []string{"edge", "inner"}, Notified: &control.NotifyStatus{
				State: "backup", At: ago(time.Minute), Took: &recent, Problem: "http://hooks.example.org: connection refused", Again: now.Add(4 * time.Second),
			}},
			{Name: "other", Members: []string{"a", "b"}, Notified: &control.NotifyStatus{State: "fault", At: ago(time.Second)}},
		},
		Directors: []control.DirectorStatus{
			{
				Node: "lvs2", Address: "192.0.2.2", Age: recent, SameConfig: true, Release: "1.2.3",
				Routers:    []control.PeerRouter{{Name: "edge", State: "backup", Priority: 100}, {Name: "inner", State: "master", Priority: 150}},
				Judgements: []control.OtherJudgement{{Target: "web 192.0.2.12:80", Ours: "down", Theirs: "up"}},
			},
			{Node: "lvs3", Address: "192.0.2.3", Age: control.Of(time.Minute), Silent: true, Digest: "fedcba9876543210", Release: "1.2.2"},
		},
		Services: []control.ServiceStatus{
			{
				Name: "web", Protocol: "tcp", Listen: "192.0.2.100:80", Forward: "dr", Scheduler: "wlc", Loaded: &yes,
				Stats: &control.Stats{Connections: 123456},
				Pool:  control.PoolStatus{State: "sorry", Quorum: 3, Up: 2.5, All: 7},
				Sorry: &control.RealStatus{Address: netip.MustParseAddrPort("192.0.2.9:80"), Health: "unchecked", Weight: &two, Active: 3},
				Leaving: []control.LeavingStatus{
					{Address: netip.MustParseAddrPort("192.0.2.19:80"), Active: 1, Inactive: 20, Since: ago(10 * time.Second), Until: now.Add(time.Minute)},
				},
				Real: []control.RealStatus{
					{Address: netip.MustParseAddrPort("192.0.2.11:80"), Health: "up", Checked: &recent, Weight: &two, Active: 17, Inactive: 204},
					{Address: netip.MustParseAddrPort("192.0.2.12:80"), Health: "down", Checked: &recent, Reason: "connection refused", HealthSince: ago(5 * time.Minute)},
					{Address: netip.MustParseAddrPort("192.0.2.13:80"), Health: "unknown"},
					{Address: netip.MustParseAddrPort("192.0.2.14:80"), Health: "unchecked", Weight: &zero},
					{Address: netip.MustParseAddrPort("192.0.2.15:80"), Health: "up", Checked: &recent, Stale: true, Weight: &two},
					{Address: netip.MustParseAddrPort("192.0.2.16:80"), Health: "up", Weight: &two, Rising: 100},
					{Address: netip.MustParseAddrPort("192.0.2.17:80"), Health: "up", Weight: &zero, Overrides: []control.Override{
						{What: "weight", Weight: 7, By: "root for alice", At: ago(time.Hour)},
						{What: "drain", By: "bob", At: ago(time.Minute), Until: now.Add(4 * time.Minute), Reason: "new disk"},
					}},
					{Address: netip.MustParseAddrPort("192.0.2.18:80"), Health: "up", Overrides: []control.Override{
						{What: "drain", By: "bob", At: ago(time.Hour), Until: ago(time.Minute), Ended: ago(time.Minute), Left: 1},
					}},
				},
			},
			{Name: "dns", Protocol: "udp", Listen: "192.0.2.100:53", Forward: "nat", Scheduler: "rr", Loaded: &no},
			{Name: "mail", Protocol: "tcp", Listen: "192.0.2.100:25", Forward: "tun", Scheduler: "rr"},
		},
		Removed: []control.RemovedStatus{{Service: "tcp 192.0.2.100:81", Leaving: []control.LeavingStatus{
			{Address: netip.MustParseAddrPort("192.0.2.19:81"), Active: 2, Since: ago(10 * time.Second), Until: ago(time.Second)},
		}}},
		Foreign:  []string{"tcp 198.51.100.1:443"},
		Problems: []string{`service "web": 192.0.2.12:80 is down: connection refused`},
		Unknown:  []string{"the IPVS table: timeout"},
	}
}

func TestRenderStatus(t *testing.T) {
	for name, p := range map[string]paint{"plain": false, "coloured": true} {
		t.Run(name, func(t *testing.T) {
			got := renderStatus(everything(), p)
			file := filepath.Join("testdata", "status-"+name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestColoursAddNothingButColour(t *testing.T) {
	escapes := regexp.MustCompile("\x1b\\[[0-9;]*m")
	plain, coloured := renderStatus(everything(), false), renderStatus(everything(), true)
	if strings.Contains(plain, "\x1b") {
		t.Error("the plain form has escapes")
	}
	if got := escapes.ReplaceAllString(coloured, ""); got != plain {
		t.Errorf("without its colours the coloured form is\n%s\nwant\n%s", got, plain)
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 1900 * time.Microsecond: "1ms", 999 * time.Millisecond: "999ms",
		12345 * time.Millisecond: "12.3s", 59*time.Second + 990*time.Millisecond: "59.9s", time.Minute: "1m", 10 * time.Minute: "10m",
		90*time.Minute + 400*time.Millisecond: "1h30m", 20 * time.Hour: "20h", 70*time.Minute + time.Second: "1h10m1s",
		24 * time.Hour: "1d0h", 25 * time.Hour: "1d1h", 48*time.Hour - time.Minute: "1d23h", 1000 * time.Hour: "41d16h",
	} {
		if got := short(in); got != want {
			t.Errorf("short(%v) = %s, want %s", in, got, want)
		}
	}
}

func TestExitStatusOfStatusSaysWhetherAllIsWell(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*control.Status)
		want   int
	}{
		{"all is well", func(s *control.Status) { s.Problems, s.Unknown = nil, nil }, exitDone},
		{"a problem", func(s *control.Status) { s.Unknown = nil }, exitProblem},
		{"something unknown", func(s *control.Status) { s.Problems = nil }, exitProblem},
	} {
		t.Run(test.name, func(t *testing.T) {
			status := everything()
			test.change(&status)
			dir := serve(t, status, control.ReloadResult{})
			got, stdout, stderr := haldir("status", "--run-dir", dir)
			if got != test.want || stdout != renderStatus(status, false) || stderr != "" {
				t.Errorf("exit status %d, want %d; %q; %q", got, test.want, stdout, stderr)
			}
			if got, stdout, _ := haldir("status", "--run-dir", dir, "--json"); got != test.want || !strings.HasPrefix(stdout, "{\n  \"api\": \"v1\",") {
				t.Errorf("as JSON: exit status %d, want %d; %q", got, test.want, stdout)
			}
		})
	}
}

func TestReloadReportsItsOutcome(t *testing.T) {
	for _, test := range []struct {
		name           string
		result         control.ReloadResult
		want           int
		stdout, stderr string
	}{
		{"applied", control.ReloadResult{Applied: true, Changes: []string{"one", "two"}}, exitDone, "one\ntwo\n", ""},
		{"nothing new", control.ReloadResult{Applied: true}, exitDone, "applied; nothing is different\n", ""},
		{"refused", control.ReloadResult{Errors: []string{"f:1:2: x", "f:3:4: y"}}, exitUsage, "", "f:1:2: x\nf:3:4: y\nhaldir: refused; nothing was changed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := serve(t, control.Status{}, test.result)
			got, stdout, stderr := haldir("reload", "--run-dir", dir)
			if got != test.want || stdout != test.stdout || stderr != test.stderr {
				t.Errorf("exit status %d, %q, %q; want %d, %q, %q", got, stdout, stderr, test.want, test.stdout, test.stderr)
			}
			if got, stdout, stderr := haldir("reload", "--run-dir", dir, "--json"); got != test.want || !strings.HasPrefix(stdout, "{\n") || stderr != "" {
				t.Errorf("as JSON: exit status %d, want %d; %q; %q", got, test.want, stdout, stderr)
			}
		})
	}
}
