package doctor

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/doctor.md has a heading "### id (severity)" for every kind, in their order.
func TestEveryKindIsDocumented(t *testing.T) {
	if _, err := os.Stat("../../go.mod"); errors.Is(err, fs.ErrNotExist) {
		t.Skip("this test binary runs outside the source tree")
	}
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, k := range Kinds() {
		want = append(want, k.ID+" ("+string(k.Severity)+")")
	}
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("kinds (-code +docs/doctor.md):\n%s", d)
	}
}
