package track

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// run makes one check of a type.
func run(t *testing.T, kind string, o healthcheck.Options) healthcheck.Result {
	t.Helper()
	check, err := Types()[kind](o)
	if err != nil {
		t.Fatal(err)
	}
	return check(t.Context(), time.Now(), healthcheck.Target{Timeout: time.Second})
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNumber(t *testing.T) {
	folder := t.TempDir()
	for i, test := range []struct {
		text    string
		outcome healthcheck.Outcome
		detail  string
	}{
		{"-20\n", healthcheck.Pass, "-20"},
		{" 254 ", healthcheck.Pass, "254"},
		{"+7", healthcheck.Pass, "7"},
		{"", healthcheck.Pass, "0"},
		{"255", healthcheck.Inconclusive, "not a number from -254 to 254"},
		{"1 2", healthcheck.Inconclusive, "not a number"},
		{strings.Repeat(" ", 100), healthcheck.Inconclusive, "longer than a number"},
	} {
		path := write(t, filepath.Join(folder, string(rune('a'+i))), test.text)
		got := run(t, TypeNumber, Encode(Number{Path: path}))
		if got.Outcome != test.outcome || !strings.Contains(got.Detail, test.detail) {
			t.Errorf("%q: %+v, want %v with %q", test.text, got, test.outcome, test.detail)
		}
		if (got.Reason == ReasonNumber) != (test.outcome == healthcheck.Pass) {
			t.Errorf("%q: reason %q", test.text, got.Reason)
		}
	}
	if got := run(t, TypeNumber, Encode(Number{Path: filepath.Join(folder, "none")})); got.Outcome != healthcheck.Pass || got.Detail != "0" {
		t.Errorf("no file: %+v, want 0", got)
	}
	if got := run(t, TypeNumber, Encode(Number{Path: folder})); got.Outcome != healthcheck.Inconclusive {
		t.Errorf("a folder: %+v, want inconclusive", got)
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"", "0", "-254", "254\n", "x", "99999999999999999999", "-", "1e3"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := ParseNumber(text); err == nil && (n < -MaxWeight || n > MaxWeight) {
			t.Errorf("%q is %d", text, n)
		}
	})
}

func TestProcess(t *testing.T) {
	root := t.TempDir()
	process := func(pid, comm, line, state string) {
		write(t, filepath.Join(root, pid, "comm"), comm+"\n")
		write(t, filepath.Join(root, pid, "cmdline"), strings.ReplaceAll(line, " ", "\x00")+"\x00")
		write(t, filepath.Join(root, pid, "stat"), pid+" ("+comm+") "+state+" 1 2 3")
	}
	process("1", "systemd", "/sbin/init", "S")
	process("20", "named", "/usr/sbin/named -f -u bind", "S")
	process("21", "named", "/usr/sbin/named -f -u other", "R")
	process("22", "named", "", "Z")
	process("30", "a) Z (b", "/opt/a) Z (b", "S")
	process("40", "prometheus-node", "/usr/bin/prometheus-node-exporter", "S")
	process("50", "uplink.py", "/usr/bin/python3 /usr/lib/uplink.py", "S")
	process("60", "nginx", "nginx: master", "S")
	write(t, filepath.Join(root, "70", "comm"), "gone\n") // it ends while it is looked at
	write(t, filepath.Join(root, "self", "comm"), "self\n")
	for _, test := range []struct {
		spec   Process
		passes bool
		detail string
	}{
		{Process{Name: "named"}, true, "pid 2"},
		{Process{Name: "named", AtLeast: 2}, true, "pid 2"},
		{Process{Name: "named", AtLeast: 3}, false, "2 of 3"},
		{Process{Name: "named", Arguments: "-u bind"}, true, "pid 20"},
		{Process{Name: "named", Arguments: "-u bi"}, false, "0 of 1"},
		{Process{Name: "name"}, false, ""},
		{Process{Name: "init"}, true, "pid 1"},
		{Process{Name: "a) Z (b"}, true, "pid 30"},
		{Process{Name: "prometheus-node-exporter"}, true, "pid 40"},
		{Process{Name: "prometheus-node-other"}, false, ""},
		{Process{Name: "uplink.py"}, true, "pid 50"},
		{Process{Name: "nginx"}, true, "pid 60"},
		{Process{Name: "gone"}, false, ""},
		{Process{Name: "self"}, false, ""},
	} {
		test.spec.Root = root
		got := run(t, TypeProcess, Encode(test.spec))
		want := healthcheck.Fail
		if test.passes {
			want = healthcheck.Pass
		}
		if got.Outcome != want || !strings.Contains(got.Detail, test.detail) {
			t.Errorf("%+v: %+v, want outcome %v with %q", test.spec, got, want, test.detail)
		}
	}
	if got := run(t, TypeProcess, Encode(Process{Name: "x", Root: filepath.Join(root, "none")})); got.Outcome != healthcheck.Inconclusive {
		t.Errorf("without /proc: %+v, want inconclusive", got)
	}
	check, _ := Process{Name: "x", Root: root}.checker()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := check(ended, time.Now(), healthcheck.Target{}); got.Outcome != healthcheck.Inconclusive {
		t.Errorf("out of time: %+v, want inconclusive", got)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for kind, options := range map[string][]healthcheck.Options{
		TypeNumber:    {"", "{}", `{"path":"a"}`, `{"path":"/a","more":1}`, `{"path":"/a"}{}`},
		TypeProcess:   {"", "{}", `{"name":"/a"}`},
		TypeNeighbour: {"", "{}"},
	} {
		for _, o := range options {
			if _, err := Types()[kind](o); err == nil {
				t.Errorf("%s accepts %q", kind, o)
			}
		}
	}
}
