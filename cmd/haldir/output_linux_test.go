package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/control"
)

// console opens a pseudo terminal: what is written to tty can be read from the
// other end.
func console(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return screen, tty
}

func TestColoursAreForTerminalsThatWelcomeThem(t *testing.T) {
	_, tty := console(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		name          string
		w             io.Writer
		noColor, term string
		redraw, want  bool
	}{
		{"terminal", tty, "", "xterm", true, true},
		{"NO_COLOR", tty, "1", "xterm", true, false},
		{"dumb terminal", tty, "", "dumb", false, false},
		{"file", file, "", "xterm", false, false},
		{"buffer", &bytes.Buffer{}, "", "xterm", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			t.Setenv("TERM", test.term)
			if got := colourful(test.w); got != test.want {
				t.Errorf("colourful = %v, want %v", got, test.want)
			}
			if got := terminal(test.w); got != test.redraw {
				t.Errorf("terminal = %v, want %v", got, test.redraw)
			}
		})
	}
}

// TestCommandsHonourNoColor runs every command that prints something on a
// terminal.
func TestCommandsHonourNoColor(t *testing.T) {
	good := write(t, router+service)
	dir := serve(t, everything(), control.ReloadResult{Applied: true})
	for _, args := range [][]string{
		{"status", "--run-dir", dir},
		{"reload", "--run-dir", dir},
		{"check", "-c", good, "--node", "lvs1"},
		{"check", "-c", write(t, "x = 1")},
		{"version"},
		{"--help"},
	} {
		for _, noColor := range []string{"", "1"} {
			t.Run(strings.Join(args, " ")+" NO_COLOR="+noColor, func(t *testing.T) {
				t.Setenv("NO_COLOR", noColor)
				t.Setenv("TERM", "xterm")
				screen, tty := console(t)
				shown := make(chan string, 1)
				go func() {
					var all bytes.Buffer
					_, _ = io.Copy(&all, screen) // ends with the last tty
					shown <- all.String()
				}()
				run(args, tty, tty)
				_ = tty.Close()
				var got string
				select {
				case got = <-shown:
				case <-time.After(20 * time.Second):
					t.Fatal("the terminal does not end")
				}
				if got == "" {
					t.Error("nothing was printed")
				}
				coloured := strings.Contains(got, "\x1b")
				if noColor != "" && coloured {
					t.Errorf("escapes in spite of NO_COLOR: %q", got)
				}
				if noColor == "" && args[0] == "status" && !coloured {
					t.Errorf("no colours on a terminal: %q", got)
				}
			})
		}
	}
}

func TestProgramIsTheOneThatRuns(t *testing.T) {
	running, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	found, err := os.Stat(program())
	if err != nil || !os.SameFile(running, found) {
		t.Errorf("program = %s, which is not what runs (%v)", program(), err)
	}
}
