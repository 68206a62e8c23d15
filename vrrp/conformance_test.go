package vrrp

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const conformance = "../docs/vrrp-conformance.md"

// rules are the rows of the conformance tables by their number.
func rules(t *testing.T) map[int]string {
	t.Helper()
	text, err := os.ReadFile(conformance)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|.*$`).FindAllSubmatch(text, -1) {
		number, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		if rows[number] != "" {
			t.Errorf("rule %d is there twice", number)
		}
		rows[number] = string(m[0])
	}
	return rows
}

// Every rule has a test, or is a deviation on purpose.
func TestEveryRuleIsProvedOrADeviation(t *testing.T) {
	rows := rules(t)
	for number := 1; number <= len(rows); number++ {
		row := rows[number]
		if row == "" {
			t.Errorf("rule %d is missing", number)
		} else if !strings.Contains(row, "`Test") && !strings.Contains(row, "deviation") {
			t.Errorf("rule %d has neither a test nor a deviation: %s", number, row)
		}
	}
	if len(rows) < 70 {
		t.Errorf("there are %d rules, want 70 at least", len(rows))
	}
}

// The tests that are named as proof of a rule exist.
func TestDocumentedTestsExist(t *testing.T) {
	text, err := os.ReadFile(conformance)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, dir := range []string{".", "vrrpsock", "vrrptest", "../arp", "../internal/director", "../internal/netif", "../lab"} {
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
	for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(text, -1) {
		if name := string(m[1]); !known[name] {
			t.Errorf("%s names %s, which is no test", conformance, name)
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
