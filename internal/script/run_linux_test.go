package script

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs text by the shell, as the user nobody.
func shell(t *testing.T, timeout time.Duration, text string, args ...string) (Result, time.Duration, error) {
	t.Helper()
	testenv.Root(t)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	begun := time.Now()
	r, err := Run(ctx, Command{Args: append([]string{"/bin/sh", "-c", text, "sh"}, args...), Env: []string{"A=1"}, User: "nobody"})
	return r, time.Since(begun), err
}

func TestResults(t *testing.T) {
	t.Setenv("SECRET", "of the parent")
	tests := []struct {
		name, text string
		want       Result
	}{
		{"success", "exit 0", Result{}},
		{"status", "exit 7", Result{Exit: 7}},
		{"signal", "kill -SEGV $$", Result{Exit: -1, Signal: "segmentation fault"}},
		{"both outputs", "echo a; echo b >&2", Result{Output: []byte("a\nb\n")}},
		{"environment", "/usr/bin/env | /usr/bin/sort | /bin/grep -v -e ^PWD -e ^_ -e ^OLDPWD -e ^SHLVL", Result{Output: []byte("A=1\n" + path + "\n")}},
		{"user and groups", "/usr/bin/id -un; /usr/bin/id -Gn", Result{Output: []byte("nobody\nnogroup\n")}},
		{"folder and input", "pwd; /bin/cat", Result{Output: []byte("/\n")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := shell(t, 10*time.Second, tt.text)
			if err != nil || got.Exit != tt.want.Exit || got.Signal != tt.want.Signal || !bytes.Equal(got.Output, tt.want.Output) {
				t.Errorf("result = %+v (output %q), error %v, want %+v", got, got.Output, err, tt.want)
			}
		})
	}
}

func TestAFloodOfOutputIsBounded(t *testing.T) {
	got, _, err := shell(t, 10*time.Second, "/usr/bin/head -c 3000000 /dev/zero; exit 3")
	if err != nil || got.Exit != 3 || len(got.Output) != OutputLimit {
		t.Errorf("exit %d with %d bytes, error %v, want 3 with %d", got.Exit, len(got.Output), err, OutputLimit)
	}
	if _, took, err := shell(t, 300*time.Millisecond, "while :; do echo flood; done"); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
		t.Errorf("error %v after %s, want the end of the context", err, took)
	}
}

// alive reports whether the process that wrote its number into file is there.
func alive(t *testing.T, file string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	// A zombie is dead; who adopted it may not have reaped it yet.
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && unix.Kill(pid, 0) == nil && !bytes.Contains(stat, []byte(") Z "))
}

func gone(t *testing.T, file string) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for alive(t, file) {
		select {
		case <-deadline:
			t.Fatal("a process of the group lives on")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestTheWholeGroupIsKilledAtTheEndOfTheTime(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	child := filepath.Join(folder, "child")
	_, took, err := shell(t, 500*time.Millisecond, `trap "" TERM INT HUP; /bin/sleep 1000 & echo $! >"$1"; /bin/sleep 1000`, child)
	if !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
		t.Errorf("error %v after %s, want the end of the context", err, took)
	}
	gone(t, child)
}

func TestWhatAProgramLeavesBehindIsKilled(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	child := filepath.Join(folder, "child")
	got, took, err := shell(t, 10*time.Second, `/bin/sleep 1000 & echo $! >"$1"; exit 4`, child)
	if err != nil || got.Exit != 4 || took > 5*time.Second {
		t.Errorf("exit %d after %s, error %v, want 4 at once", got.Exit, took, err)
	}
	gone(t, child)
}

func TestOneThatEscapesTheGroupHoldsNothingUp(t *testing.T) {
	got, took, err := shell(t, 10*time.Second, `/usr/bin/setsid /bin/sleep 3 & exit 5`)
	if err != nil || got.Exit != 5 || took > 2*time.Second {
		t.Errorf("exit %d after %s, error %v, want 5 at once", got.Exit, took, err)
	}
}

func TestProgramsThatCannotBeStarted(t *testing.T) {
	testenv.Root(t)
	for name, c := range map[string]Command{
		"nothing":   {User: "nobody"},
		"missing":   {Args: []string{"/does/not/exist"}, User: "nobody"},
		"no script": {Args: []string{"/etc/passwd"}, User: "nobody"},
		"no user":   {Args: []string{"/bin/true"}, User: "nobody-of-that-name"},
	} {
		if _, err := Run(t.Context(), c); !errors.Is(err, ErrNotStarted) {
			t.Errorf("%s: error %v, want one that it was not started", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Command{Args: []string{"/bin/true"}, User: "nobody"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
