package vrrp

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The tests that docs/vrrp.md names as proof of a rule exist.
func TestDocumentedTestsExist(t *testing.T) {
	text, err := os.ReadFile("../docs/vrrp.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, dir := range []string{".", "vrrpsock", "vrrptest", "../arp", "../internal/director"} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
				known[string(m[1])] = true
			}
		}
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(text, -1)
	if len(named) < 50 {
		t.Errorf("docs/vrrp.md names %d tests", len(named))
	}
	for _, m := range named {
		if name := string(m[1]); !known[name] {
			t.Errorf("docs/vrrp.md names %s, which is no test", name)
		}
	}
}

// The drop reasons that docs/vrrp.md explains are all there are.
func TestDropReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/vrrp.md")
	if err != nil {
		t.Fatal(err)
	}
	for r := Accepted + 1; r < dropReasons; r++ {
		if !regexp.MustCompile(`(?m)^\|[^|]*\b` + regexp.QuoteMeta(r.String()) + `\b`).Match(text) {
			t.Errorf("docs/vrrp.md does not explain %q", r)
		}
	}
}
