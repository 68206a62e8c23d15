package doctor

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// fault is a host, healthy otherwise, that is made ill for real.
type fault struct {
	name string
	host func(*testing.T, string) *ward
	mode string
	make func(*ward)
	// want are the kinds that are found, in order; none for what only looks ill.
	want []string
	// title is the first finding's, and evidence a part of its evidence.
	title, evidence string
}

// native leaves tests out in the guest, where only what needs its kernel is tested.
func native(t *testing.T) {
	t.Helper()
	if testenv.Required("ipvs") {
		t.Skip("any kernel will do: tested outside of the guest")
	}
}

func playAll(t *testing.T, faults []fault) {
	t.Helper()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.play(t)
		})
	}
}

func (f fault) play(t *testing.T) {
	w := f.host(t, f.mode)
	f.make(w)
	found := w.expect(f.want...)
	if len(found) == 0 {
		return
	}
	if found[0].Title != f.title || !strings.Contains(found[0].Evidence, f.evidence) {
		t.Errorf("title = %q, evidence = %q, want %q and %q", found[0].Title, found[0].Evidence, f.title, f.evidence)
	}
	for _, finding := range found {
		if finding.Evidence == "" || finding.Consequence == "" || finding.Remedy == "" {
			t.Errorf("%s lacks evidence, consequence or remedy: %+v", finding.ID, finding)
		}
	}
	w.heal(found)
}

// paste finds a command in a remedy.
var paste = regexp.MustCompile(`(?:^|, or )((?:sysctl -w|nft insert|ip6?tables(?:-legacy)? -t \w+ -I|ip(?: -6)? (?:address|link|route|neigh)) [^;]*?)(?:$|;|, )`)

// heal runs the commands of remedies as they are, again and again while there are
// others, and checks that what they were for is gone.
func (w *ward) heal(found []Finding) {
	w.t.Helper()
	for range 12 {
		done := map[string]string{}
		for _, f := range found {
			m := paste.FindStringSubmatch(f.Remedy)
			if m != nil && done[f.ID] == "" && !strings.Contains(m[1], "ROUTER") && w.run(m[1]) {
				done[f.ID] = m[1]
			}
		}
		if len(done) == 0 {
			return
		}
		before := found
		found = w.examine()
		for _, f := range found {
			if command := done[f.ID]; command != "" && slices.Contains(before, f) {
				w.t.Errorf("after %q there is still %+v", command, f)
				return
			}
		}
	}
	w.t.Errorf("remedies without end: %+v", found)
}

// run runs a command of ip, nft, iptables or sysctl in the namespace, if it is there.
func (w *ward) run(command string) bool {
	w.t.Helper()
	words := strings.Fields(command)
	if words[0] == "sysctl" {
		for _, setting := range words[2:] {
			key, value, _ := strings.Cut(setting, "=")
			set := func() error { return netif.WriteSysctl(strings.ReplaceAll(key, ".", "/"), value) }
			name, ofIPVS := strings.CutPrefix(key, "net.ipv4.vs.")
			switch {
			case ofIPVS && w.ipvs != nil:
				w.ipvs[name] = value
			case strings.HasPrefix(key, "net.netfilter."):
				w.first(set) // it is the machine's
			default:
				w.do(set)
			}
		}
		return true
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return false
	}
	w.do(func() error {
		out, err := exec.Command(path, words[1:]...).CombinedOutput()
		if err != nil {
			w.t.Logf("%s: %s", command, out)
		}
		return err
	})
	return true
}

// clusterFaults is where the faults are made that take a whole cluster.
const clusterFaults = "../../lab/doctor_linux_test.go"

// Every kind of finding has a test that makes the fault on a kernel.
func TestEveryKindHasATestThatMakesTheFault(t *testing.T) {
	if _, err := os.Stat("../../go.mod"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this test binary runs outside the source tree")
	}
	made := literals(t, clusterFaults)
	for _, f := range slices.Concat(hostFaults, firewallFaults, segmentFaults, machineFaults, kernelFaults, markFaults, ipvsFaults) {
		made = append(made, f.want...)
	}
	for _, k := range Kinds() {
		if !slices.Contains(made, k.ID) {
			t.Errorf("no test makes the fault %s", k.ID)
		}
	}
}

// literals are the strings in a file.
func literals(t *testing.T, name string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(name), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				list = append(list, text)
			}
		}
		return true
	})
	return list
}
