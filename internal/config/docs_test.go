package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocumentedChecks loads every example of docs/healthchecks.md. There is one
// of each type.
func TestDocumentedChecks(t *testing.T) {
	text, err := os.ReadFile("../../docs/healthchecks.md")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, m := range regexp.MustCompile("(?s)```toml\n\\[service.check\\]\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		c := load(t, write(t, "example.toml", strings.Replace(withCheck("", m[1]), "type = \"\"\n", "", 1)), testHost())
		types = append(types, c.Services[0].Checks[0].Type)
	}
	for _, kind := range checkTypes() {
		if !slices.Contains(types, kind) {
			t.Errorf("there is no example of type %s", kind)
		}
	}
	for _, m := range regexp.MustCompile("(?s)```toml\n(\\[\\[service\\]\\]\n.*?)```").FindAllStringSubmatch(string(text), -1) {
		before, _, _ := strings.Cut(withCheck("", ""), "[[service]]")
		c := load(t, write(t, "example.toml", before+m[1]), testHost())
		types = append(types, c.Services[0].Name)
	}
	if n := strings.Count(string(text), "```toml"); n != len(types) {
		t.Errorf("%d of %d examples were tested", len(types), n)
	}
}

// TestDocumentedOptions looks for the options that docs/vrrp.md has rows of in the
// schema.
func TestDocumentedOptions(t *testing.T) {
	text, err := os.ReadFile("../../docs/vrrp.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 5 {
		t.Errorf("found %d options", len(rows))
	}
	for _, row := range rows {
		if homeOf(row[1]) != "[[vrrp]]" {
			t.Errorf("docs/vrrp.md documents %s, which is no key of [[vrrp]]", row[1])
		}
	}
}

// TestDocumentedTrackingAndNotifications loads the examples of both pages.
func TestDocumentedTrackingAndNotifications(t *testing.T) {
	for _, page := range []string{"tracking", "notify"} {
		text, err := os.ReadFile("../../docs/" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(examples) == 0 {
			t.Errorf("docs/%s.md has no example", page)
		}
		for _, m := range examples {
			doc := strings.Replace(withCheck("tcp", ""), "[[service]]", m[1]+"\n[[service]]", 1)
			doc = strings.Replace(doc, "[sync_group.notify]", other+"[[sync_group]]\nname = \"both\"\nmembers = [\"edge\", \"inside\"]\n[sync_group.notify]", 1)
			if strings.HasPrefix(m[1], "[[sync_group]]") {
				doc = strings.Replace(doc, "[[sync_group]]", other+"[[sync_group]]", 1)
			}
			load(t, write(t, "example.toml", doc), testHost())
		}
	}
}

const other = `[[vrrp]]
name = "inside"
interface = "eth10"
router_id = 52
priority = { lvs1 = 150, lvs2 = 100 }
addresses = ["10.1.0.1/16"]
`
