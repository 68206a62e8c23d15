package doctor

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

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
}

// clusterFaults is where the faults are made that take a whole cluster.
const clusterFaults = "../../lab/doctor_linux_test.go"

// Every kind of finding has a test that makes the fault on a kernel.
func TestEveryKindHasATestThatMakesTheFault(t *testing.T) {
	if _, err := os.Stat("../../go.mod"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this test binary runs outside the source tree")
	}
	made := literals(t, clusterFaults)
	for _, f := range slices.Concat(hostFaults, firewallFaults, segmentFaults, machineFaults, kernelFaults, ipvsFaults) {
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
