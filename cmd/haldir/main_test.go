package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// actVariable makes the test binary act as haldir itself.
const actVariable = "HALDIR_TEST_ACT"

func TestMain(m *testing.M) {
	if os.Getenv(actVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}

// haldir runs one command line.
func haldir(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, &out, &errs)
	return status, out.String(), errs.String()
}

// write makes a file in a folder of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "haldir.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const router = `[[vrrp]]
name = "edge"
interface = "lo"
router_id = 51
priority = { lvs1 = 150, lvs2 = 100 }
addresses = ["192.0.2.100/24"]
`

const service = `
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
[[service.real]]
address = "192.0.2.11"
`

func TestExitStatusAndMessages(t *testing.T) {
	good := write(t, router+service)
	twoErrors := write(t, strings.Replace(router, "51", "256", 1)+"colour = \"red\"\n")
	absent := filepath.Join(t.TempDir(), "absent.toml")
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stdout string // what it contains; empty: it is empty
		stderr []string
	}{
		{"no command", nil, exitDone, "Usage:", nil},
		{"unknown command", []string{"dance"}, exitUsage, "", []string{`haldir: unknown command "dance" for "haldir"`, "(see haldir --help)"}},
		{"unknown command of a group", []string{"realserver", "dance"}, exitUsage, "", []string{`unknown command "dance" for "haldir realserver"`}},
		{"unknown flag", []string{"status", "--loud"}, exitUsage, "", []string{"haldir: unknown flag: --loud (see haldir status --help)"}},
		{"flag without a value", []string{"check", "-c"}, exitUsage, "", []string{"flag needs an argument"}},
		{"an argument too many", []string{"check", "file.toml"}, exitUsage, "", []string{`unknown command "file.toml" for "haldir check"`}},
		{"flags that exclude each other", []string{"status", "--watch", "--json"}, exitUsage, "", []string{"watch", "json"}},

		{"check of a good file", []string{"check", "-c", good, "--node", "lvs1"}, exitDone, "The configuration is right: 1 virtual router, 1 service.", nil},
		{"check of a good file as JSON", []string{"check", "-c", good, "--node", "lvs1", "--json"}, exitDone, `"right": true`, nil},
		{"check of a bad file", []string{"check", "-c", twoErrors, "--node", "lvs1"}, exitUsage, "",
			[]string{twoErrors + ":4:13: ", "router_id = 256", twoErrors + ":7:1: ", "colour", "2 errors\n"}},
		{"check of a bad file as JSON", []string{"check", "-c", twoErrors, "--node", "lvs1", "--json"}, exitUsage, `"right": false`, nil},
		{"check of no file", []string{"check", "-c", absent}, exitUsage, "", []string{"haldir: reading the configuration", "absent.toml: no such file"}},

		{"status without a daemon", []string{"status", "--run-dir", nowhere}, exitProblem, "", []string{"haldir: asking for status", "haldir is not running"}},
		{"reload without a daemon", []string{"reload", "--run-dir", nowhere}, exitProblem, "", []string{"haldir: asking for reload", "haldir is not running"}},
		{"another socket", []string{"status", "--socket", filepath.Join(nowhere, "api")}, exitProblem, "", []string{filepath.Join(nowhere, "api") + ": haldir is not running"}},

		{"run with a bad file", []string{"run", "-c", twoErrors, "--node", "lvs1", "--run-dir", nowhere}, exitUsage, "",
			[]string{twoErrors + ":4:13: ", twoErrors + ":7:1: ", "\nhaldir: 2 errors in the configuration\n"}},
		{"run without a file", []string{"run", "-c", absent, "--run-dir", nowhere}, exitUsage, "", []string{"haldir: reading the configuration"}},
		{"run as a stranger", []string{"run", "-c", good, "--node", "lvs9", "--run-dir", nowhere}, exitUsage, "", []string{`"lvs9"`, "lvs1, lvs2"}},
		{"realserver with a bad file", []string{"realserver", "apply", "-c", twoErrors, "--run-dir", nowhere}, exitUsage, "", []string{twoErrors + ":4:13: ", "2 errors"}},
		{"realserver that no service lists", []string{"realserver", "verify", "-c", good, "--node", "lvs1", "--run-dir", nowhere}, exitUsage, "", []string{"haldir: "}},

		{"a role by hand", []string{"internal-speaker"}, exitProblem, "", []string{"started by haldir run, not by hand"}},
		{"version", []string{"version"}, exitDone, "haldir development", nil},
		{"version as JSON", []string{"version", "--json"}, exitDone, `"ip_vs":`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := haldir(test.args...)
			if status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			if !strings.Contains(stdout, test.stdout) || (test.stdout == "") != (stdout == "") {
				t.Errorf("standard output is %q, want %q", stdout, test.stdout)
			}
			for _, part := range test.stderr {
				if !strings.Contains(stderr, part) {
					t.Errorf("standard error is %q, which lacks %q", stderr, part)
				}
			}
			if len(test.stderr) == 0 && stderr != "" {
				t.Errorf("standard error is %q, want nothing", stderr)
			}
			if _, err := os.Stat(nowhere); err == nil {
				t.Error("the run directory was made")
			}
		})
	}
}

// walk calls f for every command of ours.
func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, child := range cmd.Commands() {
		walk(child, f)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	seen := 0
	walk(newRoot(&bytes.Buffer{}, &bytes.Buffer{}), func(cmd *cobra.Command) {
		if cmd.Hidden && !cmd.Runnable() {
			return
		}
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		status, stdout, stderr := haldir(args...)
		if status != exitDone || stderr != "" || !strings.Contains(stdout, "Usage:") {
			t.Errorf("%s --help: exit status %d, %q, %q", cmd.CommandPath(), status, stdout, stderr)
		}
		if cmd.Hidden || cmd.HasSubCommands() {
			return
		}
		seen++
		if !strings.Contains(stdout, "Examples:") || !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s has the example %q, want one that calls it", cmd.CommandPath(), cmd.Example)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s is described as %q, want a line without a full stop", cmd.CommandPath(), cmd.Short)
		}
	})
	if seen < 9 {
		t.Errorf("%d commands seen: this test looks in the wrong place", seen)
	}
}
