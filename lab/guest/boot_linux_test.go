package guest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab/guest"
)

// prepared skips the test unless a guest can be booted without downloading, or
// HALDIR_TEST_REQUIRE lists "guest".
func prepared(t *testing.T) {
	t.Helper()
	if testenv.Required("guest") {
		return
	}
	if testing.Short() {
		t.Skip("boots a guest, which takes seconds")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("needs qemu-system-x86_64, or HALDIR_TEST_REQUIRE=guest to install it")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing is fetched
	if _, err := guest.Prepare(ctx, "", nil); err != nil {
		t.Skipf("needs a guest kernel in the cache, or HALDIR_TEST_REQUIRE=guest to fetch it: %v", err)
	}
}

// program is a step that runs one of the programs of this test binary.
func program(t *testing.T, name string, change func(*guest.Step)) guest.Step {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := guest.Step{Name: name, Args: []string{guest.Self(executable)}, Env: []string{programVariable + "=" + name}}
	if change != nil {
		change(&s)
	}
	return s
}

// outcome is what one step did, seen from the host.
type outcome struct {
	Stdout, Stderr string
	Result         guest.Result
}

// observe collects the outcome of each step.
func observe(o *guest.Options, outcomes map[string]*outcome) {
	var stdout, stderr bytes.Buffer
	o.Stdout, o.Stderr = &stdout, &stderr
	o.OnResult = func(r guest.Result) {
		outcomes[r.Name] = &outcome{stdout.String(), stderr.String(), r}
		stdout.Reset()
		stderr.Reset()
	}
}

func TestGuestRunsPrograms(t *testing.T) {
	prepared(t)
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "sub/file"), []byte("from the host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]*outcome{}
	o := guest.Options{
		Files:    guest.Files{"/package/testdata": data},
		Env:      []string{"COMMON=common", "NO_COLOR=0"},
		Timeout:  time.Minute,
		Progress: func(e guest.Event) { t.Logf("%+v", e) },
	}
	observe(&o, outcomes)
	bash := o.Files.AddProgram("bash") == nil
	steps := []guest.Step{
		program(t, "ipvs", nil), program(t, "three", nil), program(t, "streams", nil), program(t, "much", nil),
		program(t, "suicide", nil), program(t, "orphan", nil), program(t, "processes", nil),
		program(t, "file", func(s *guest.Step) { s.Dir = "/package" }),
		program(t, "variables", func(s *guest.Step) { s.Env = append(s.Env, "NO_COLOR=1") }),
		program(t, "terminal", func(s *guest.Step) { s.Terminal = &guest.Terminal{Columns: 101, Rows: 33} }),
		program(t, "links", nil), program(t, "modprobe", nil),
		program(t, "forever", func(s *guest.Step) { s.Timeout = 300 * time.Millisecond }),
		{Name: "absent", Args: []string{"no-such-program"}},
	}
	if bash {
		steps = append(steps, guest.Step{Name: "bash", Args: []string{"bash", "-c", "echo $BASH_VERSINFO; exit 7"}})
	}
	results, err := guest.RunAll(t.Context(), o, steps)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.Name != steps[i].Name {
			t.Errorf("result %d is of %s, want %s", i, r.Name, steps[i].Name)
		}
	}
	var numbers strings.Builder
	for i := range muchLines {
		fmt.Fprintf(&numbers, "line %d\n", i)
	}
	for name, want := range map[string]outcome{
		"three":     {Result: guest.Result{Status: 3}},
		"streams":   {Stdout: "\x1b[1;32mgreen\x1b[0m\r\nbar 10%\rbar 99%\r\x00\xff", Stderr: "warning\n"},
		"much":      {Stdout: numbers.String()},
		"suicide":   {Result: guest.Result{Signal: syscall.SIGKILL}},
		"orphan":    {Stdout: "left true\n"},
		"processes": {Stdout: "0 alive\n1 alive\n"},
		"file":      {Stdout: "from the host\n"},
		"variables": {Stdout: "common 1 /root true false\n"},
		"terminal":  {Stdout: "true 101 33 <nil>\nnext\r\n\x1b[31m"},
		"links":     {Stdout: "added <nil>\nlo is up true\n"},
		"modprobe":  {Stdout: "<nil>\nmodprobe: no such kernel module: no_such_module\nexit status 1\n"},
		"absent":    {Result: guest.Result{Problem: "program no-such-program is not in the guest's PATH"}},
	} {
		got := outcomes[name]
		want.Result.Name = name
		if got == nil {
			t.Errorf("%s: no outcome", name)
			continue
		}
		got.Result.Took = 0
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s: unexpected outcome (-want +got)\n%s", name, diff)
		}
	}
	if got := outcomes["ipvs"]; !strings.HasPrefix(got.Stdout, "IP Virtual Server version 1.2") || got.Result.ExitStatus() != 0 {
		t.Errorf("/proc/net/ip_vs: %+v", got)
	}
	if got := outcomes["forever"]; !got.Result.TimedOut || got.Result.ExitStatus() != 124 || !strings.Contains(got.Stderr, "SIGQUIT") {
		t.Errorf("a program that ran out of time: %+v, want it ended by SIGQUIT, with its goroutines on stderr", got)
	}
	if got := outcomes["bash"]; bash && (got.Stdout == "\n" || got.Result.Status != 7) {
		t.Errorf("bash: %+v, want its version and status 7", got)
	}
}

func TestKernelPanicIsReportedWithItsLog(t *testing.T) {
	prepared(t)
	results, err := guest.RunAll(t.Context(), guest.Options{Memory: 512}, []guest.Step{program(t, "three", nil), program(t, "panic", nil)})
	if !errors.Is(err, guest.ErrPanic) || !strings.Contains(err.Error(), "sysrq triggered crash") || !strings.Contains(err.Error(), "Call Trace") {
		t.Errorf("RunAll = %v, want ErrPanic, the reason and the log", err)
	}
	if len(results) != 1 || results[0].Status != 3 {
		t.Errorf("results = %+v, want that of the first program", results)
	}
}

func TestBootTimeout(t *testing.T) {
	prepared(t)
	o := guest.Options{BootTimeout: 50 * time.Millisecond}
	o.Args = program(t, "true", nil).Args
	if _, err := guest.Run(t.Context(), o); !errors.Is(err, guest.ErrBoot) || !strings.HasPrefix(err.Error(), "guest did not boot within 50ms") {
		t.Errorf("Run = %v, want ErrBoot and the time", err)
	}
}

func TestCancelEndsTheGuest(t *testing.T) {
	prepared(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := guest.Options{Memory: 512, OnStart: func(guest.Step) { cancel() }}
	forever := program(t, "forever", nil)
	o.Args, o.Env = forever.Args, forever.Env
	if _, err := guest.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
}

func TestOptionsThatNoGuestCanHave(t *testing.T) {
	for name, o := range map[string]guest.Options{
		"little memory":     {Memory: 255},
		"negative CPUs":     {CPUs: -1},
		"negative time-out": {Timeout: -1},
	} {
		if _, err := guest.Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "guest options: ") {
			t.Errorf("%s: Run = %v, want a refusal", name, err)
		}
	}
}
