package pid1

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

func TestEnvironmentIsOverriddenByTheStep(t *testing.T) {
	got := environment("6.1.0", []string{"NO_COLOR=1", "HOME=/tmp", "NO_COLOR=2"})
	want := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HALDIR_GUEST=6.1.0", "HOME=/tmp", "NO_COLOR=2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected environment (-want +got)\n%s", diff)
	}
}

func TestFindLooksInTheStepsOwnPath(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=/nonexistent:" + dir}
	for name, test := range map[string]struct {
		step    wire.Step
		want    string
		problem string
	}{
		"in PATH":           {step: wire.Step{Args: []string{"program"}}, want: filepath.Join(dir, "program")},
		"by path":           {step: wire.Step{Args: []string{dir + "/program"}}, want: filepath.Join(dir, "program")},
		"by relative path":  {step: wire.Step{Args: []string{"./program"}, Dir: dir}, want: filepath.Join(dir, "program")},
		"not executable":    {step: wire.Step{Args: []string{"data"}}, problem: "program data is not in the guest's PATH"},
		"no such path":      {step: wire.Step{Args: []string{"/absent"}}, problem: "program /absent does not exist in the guest"},
		"no such directory": {step: wire.Step{Args: []string{"program"}, Dir: "/absent"}, problem: "working directory /absent does not exist in the guest"},
		"no program":        {step: wire.Step{Name: "empty"}, problem: `step "empty" has no program`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := find(test.step, env)
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if got != test.want || problem != test.problem {
				t.Errorf("find = %q, %q, want %q, %q", got, problem, test.want, test.problem)
			}
		})
	}
}

func TestParseModprobe(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		want    modprobe
		problem string
	}{
		"as the kernel calls it": {args: []string{"-q", "--", "rtnl-link-dummy"}, want: modprobe{names: []string{"rtnl-link-dummy"}, quiet: true}},
		"with parameters":        {args: []string{"ip_vs", "conn_tab_bits=10", "x=1"}, want: modprobe{names: []string{"ip_vs"}, parameters: "conn_tab_bits=10 x=1"}},
		"several":                {args: []string{"-a", "veth", "dummy"}, want: modprobe{names: []string{"veth", "dummy"}}},
		"removal":                {args: []string{"-r", "veth"}, problem: "option -r is not known in the guest"},
		"nothing":                {args: []string{"-q"}, want: modprobe{quiet: true}, problem: "no module named"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseModprobe(test.args)
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(modprobe{})); diff != "" || problem != test.problem {
				t.Errorf("problem %q, want %q; unexpected request (-want +got)\n%s", problem, test.problem, diff)
			}
		})
	}
}
