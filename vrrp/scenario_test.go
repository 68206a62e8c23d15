package vrrp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected output of testdata/scenarios; commit only changes whose cause is understood")

// TestScenarios plays each file of testdata/scenarios: blocks of commands, a line
// of dashes, and what then happens on the wire and in the nodes. Lines that begin
// with # say what it is about. The commands are those of simulation.command.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if want, err = play(want, wires[0]); err != nil {
				t.Fatalf("%s:%v", file, err)
			}
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		for _, w := range wires {
			if w.name == "version 2" && bytes.Contains(want, []byte("interval=")) {
				continue // whole seconds, of one length for all
			}
			t.Run(name+" "+w.name, func(t *testing.T) {
				got, err := play(want, w)
				if err != nil {
					t.Fatalf("%s:%v", file, err)
				}
				if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
					t.Errorf("%s (-want +got):\n%s", file, d)
				}
			})
		}
	}
}

const dashes = "----"

// play returns the text of a scenario with the output that it has now.
func play(text []byte, w wire) ([]byte, error) {
	s := newSimulation(w)
	var out bytes.Buffer
	expected := false
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		switch {
		case line == "":
			expected = false
			out.WriteByte('\n')
		case expected:
		case line == dashes:
			expected = true
			fmt.Fprintln(&out, dashes)
			for _, l := range s.take() {
				fmt.Fprintln(&out, l)
			}
		default:
			fmt.Fprintln(&out, line)
			if strings.HasPrefix(line, "#") {
				continue
			}
			if err := s.command(strings.Fields(line)); err != nil {
				return nil, fmt.Errorf("%d: %s: %w", i+1, line, err)
			}
		}
	}
	return out.Bytes(), nil
}
