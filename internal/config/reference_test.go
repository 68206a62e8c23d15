package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/healthcheck"
)

const reference = "../../etc/haldir.toml"

// TestReference loads the reference. What it shows as a default is the default.
func TestReference(t *testing.T) {
	c := load(t, reference, testHost())
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	defaults := regexp.MustCompile(`(?m)^#([a-z_]+ = )`)
	if n := len(defaults.FindAll(text, -1)); n < 15 {
		t.Errorf("the reference shows %d defaults", n)
	}
	stated := load(t, write(t, "stated.toml", defaults.ReplaceAllString(string(text), "$1")), testHost())
	if diff := cmp.Diff(c.Canonical(), stated.Canonical()); diff != "" {
		t.Errorf("a default in the reference is another (-default +reference):\n%s", diff)
	}
}

// TestReferenceComplete checks that the reference documents each key of the
// schema, and that the schema's table of keys is what the decoder knows.
func TestReferenceComplete(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	header := ""
	headers, keys := regexp.MustCompile(`^(?:# )?(\[.*\])$`), regexp.MustCompile(`^#? ?([a-z_]+) = `)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if m := headers.FindStringSubmatch(line); m != nil {
			header = m[1]
		} else if m := keys.FindStringSubmatch(line); m != nil {
			documented[header] = append(documented[header], m[1])
		}
	}
	for _, s := range sections() {
		for _, key := range s.keys {
			if slices.Contains(kindOfCheck("tcp").keys, key) && s.header == "[service.check]" {
				continue // TestReferenceChecks
			}
			if !strings.Contains(" "+strings.Join(documented[s.header], " ")+" ", " "+key+" ") {
				t.Errorf("the reference does not document %s of %s", key, s.header)
			}
		}
	}

	// The decoder lists the keys it knows when it meets one it has never heard of.
	for _, s := range sections() {
		table := strings.Trim(s.header, "[]")
		unknown := "zzzzzzzzzzzz = 1\n"
		doc := s.header + "\n" + unknown
		if parent, _, ok := strings.Cut(table, "."); ok && parent != "ipvs" {
			doc = "[[" + parent + "]]\n" + doc
		}
		_, err := Load(write(t, "a.toml", doc), testHost())
		if err == nil {
			t.Fatalf("an unknown key in %s is accepted", s.header)
		}
		_, legal, _ := strings.Cut(err.Error(), "zzzzzzzzzzzz: unknown key (legal: ")
		legal, _, _ = strings.Cut(legal, ")")
		got, want := strings.Split(legal, ", "), append(slices.Clone(s.keys), s.tables...)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the decoder knows other keys (-listed +decoder):\n%s", s.header, diff)
		}
	}
}

// TestReferenceChecks loads what the reference shows for each type of check, and
// looks for every key of the type there. The decoder knows no other keys.
func TestReferenceChecks(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^# ([a-z_]+ = )`)
	for _, k := range checkKinds() {
		t.Run(k.name, func(t *testing.T) {
			_, block, found := strings.Cut(string(text), "\n# type = \""+k.name+"\"\n")
			if !found {
				t.Fatal("the reference does not show this type")
			}
			block, _, _ = strings.Cut(block, "\n\n")
			for _, key := range k.keys {
				if !regexp.MustCompile(`\b` + key + `\b`).MatchString(block) {
					t.Errorf("the reference does not document %s", key)
				}
			}
			load(t, write(t, "check.toml", withCheck(k.name, shown.ReplaceAllString(block, "$1"))), testHost())

			_, err := Load(write(t, "unknown.toml", withCheck(k.name, "zzzzzzzzzzzz = 1")), testHost())
			_, legal, _ := strings.Cut(fmt.Sprint(err), "zzzzzzzzzzzz: unknown key (legal: ")
			legal, _, _ = strings.Cut(legal, ")")
			got, want := strings.Split(legal, ", "), append(commonCheckKeys(), k.keys...)
			if !k.portless {
				want = append(want, "port")
			}
			if k.passable() {
				want = append(want, "via")
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the decoder knows other keys (-listed +decoder):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(healthcheck.Types(), slices.Sorted(slices.Values(checkTypes()))); diff != "" {
		t.Errorf("other types can be checked (-healthcheck +config):\n%s", diff)
	}
}

// withCheck is a configuration with a check of the given type.
func withCheck(kind, keys string) string {
	return `[[vrrp]]
name = "edge"
interface = "eth0"
router_id = 51
priority = { lvs1 = 150, lvs2 = 100 }
addresses = ["192.0.2.100/24"]
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
real = [{ address = "192.0.2.11" }]
[service.check]
type = "` + kind + "\"\n" + keys + "\n"
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../etc/examples/*.toml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range files {
		c := load(t, file, testHost())
		if len(c.Warnings) > 0 {
			t.Errorf("%s: warnings: %v", file, c.Warnings)
		}
		forward, _, _ := strings.Cut(filepath.Base(file), "-")
		for _, s := range c.Services {
			if s.Forward != forward {
				t.Errorf("%s: service %s has forward %q", file, s.Name, s.Forward)
			}
		}
		if p := c.Preview()[0]; p.Winner != "lvs1" {
			t.Errorf("%s: %q wins", file, p.Winner)
		}
	}
}

// TestReferenceTrack loads the trackers that the reference shows, and looks for
// every kind and key there.
func TestReferenceTrack(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "\n# track = [\n")
	block, _, found := strings.Cut(block, "\n# ]\n")
	if !found {
		t.Fatal("the reference shows no trackers")
	}
	list := "track = [\n" + regexp.MustCompile("(?m)^# ").ReplaceAllString(block, "") + "\n]\n"
	c := load(t, write(t, "track.toml", strings.Replace(withCheck("tcp", ""), "[[service]]", list+"[[service]]", 1)), testHost())
	kinds := map[string]bool{}
	for _, tracker := range c.VRRP[0].Track {
		kinds[tracker.Kind] = true
	}
	for _, kind := range []string{TrackInterface, TrackScript, TrackFile, TrackNumber, TrackProcess, TrackARP, TrackService} {
		if !kinds[kind] {
			t.Errorf("the reference shows no tracker of kind %s", kind)
		}
	}
	for _, key := range []string{"weight", "down_delay", "up_delay", "script", "every", "timeout", "fall", "rise", "user",
		"up_when", "number", "process", "arguments", "at_least", "gateway", "by", "service", "below"} {
		if !regexp.MustCompile(`\b` + key + `\b`).MatchString(block) {
			t.Errorf("the reference does not show %s", key)
		}
	}
}
