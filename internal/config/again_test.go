package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// textsOf gives texts as the files of a folder.
func textsOf(texts ...string) []*source {
	sources := make([]*source, len(texts))
	for i, text := range texts {
		sources[i] = &source{name: fmt.Sprintf("conf.d/%d.toml", i), rank: i, text: text}
	}
	return sources
}

// described is all that a load yields, in words.
func described(c *Config, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	text := fmt.Sprintf("%s\n%s\n%+v\n%+v\n%+v\n%v\n%v\n", c.Canonical(), c.Warnings, c.Services, c.VRRP, c.parts.files, c.Files, c.Digest)
	for _, s := range c.parts.sums {
		text += fmt.Sprintf("%x\n", *s)
	}
	return text
}

const againHead = `[[vrrp]]
name = "edge"
interface = "eth0"
router_id = 1
addresses = ["192.0.2.150/24", "192.0.2.151/24"]
priority = 100
[[vrrp.track]]
service = "s1"
weight = 5
`

func againService(i int) string {
	return fmt.Sprintf(`
[[service]]
name = "s%d"
listen = ["192.0.2.150:%d"]
  [service.check]
  type = "tcp"
  port = 8%d
  [[service.real]]
  address = "10.1.0.%d"
  weight = 1
  [[service.real]]
  address = "10.1.1.%d"
`, i, 8000+i, i, 10+i, 10+i)
}

// TestOnlyWhatDiffersIsRead: what is not different is that of before, and what is
// read and reported is what a whole load has.
func TestOnlyWhatDiffersIsRead(t *testing.T) {
	one, two, three := againService(1), againService(2), againService(3)
	heavy := strings.Replace(two, "weight = 1", "weight = 7", 1)
	// Without the block in the middle its string would end in the last one.
	swallows := strings.Replace(three, serviceHeader, "[[ service ]]", 1) + "[service.check]\ntype = \"tcp\"\nexpect = \"x\"\nsend = '''\n"
	swallows = strings.Replace(swallows, "  [service.check]\n  type = \"tcp\"\n  port = 83\n", "", 1)
	idle := strings.ReplaceAll(three, "weight = 1", "weight = 0") + "  weight = 0\n"
	for name, c := range map[string]struct {
		before, after string
		whole         bool // everything is to be read
	}{
		"nothing":                           {before: one + two + three, after: one + two + three},
		"a weight":                          {before: one + two + three, after: one + heavy + three},
		"the last one":                      {before: one + two + three, after: one + two + strings.TrimSuffix(three, "\n")},
		"lines that move a warning":         {before: one + two + idle, after: one + "\n\n" + heavy + idle},
		"a warning that comes":              {before: one + two + three, after: one + two + idle},
		"a warning that goes":               {before: one + two + idle, after: one + two + three},
		"a template":                        {before: one + strings.Replace(two, `"10.1.0.12"`, `"{{ GetInterfaceIP \"eth10\" }}"`, 1) + three, after: one + heavy + three},
		"a router behind the services":      {before: one + two + three + "[api]\n", after: one + heavy + three + "[api]\n"},
		"a header in a string":              {before: one + two + three, after: one + two + "x = '''\n[[service]]\n'''\n" + three, whole: true},
		"a string over the following block": {before: one + two + three, after: one + two + "x = '''" + three + "'''\n", whole: true},
		"a string over a block between":     {before: one + two + three, after: one + swallows + two + "\n[[service]]\n'''\n", whole: true},
		"a service more":                    {before: one + two, after: one + two + three, whole: true},
		"a service less":                    {before: one + two + three, after: one + three, whole: true},
		"the order":                         {before: one + two + three, after: two + one + three, whole: true},
		"a name":                            {before: one + two + three, after: one + strings.Replace(two, `"s2"`, `"s3"`, 1) + three, whole: true},
		"a name that is tracked":            {before: one + two + three, after: strings.Replace(one, `"s1"`, `"other"`, 1) + two + three, whole: true},
		"a listener":                        {before: one + two + three, after: one + strings.Replace(two, ":8002", ":8003", 1) + three, whole: true},
		"a mistake":                         {before: one + two + three, after: one + strings.Replace(two, "weight = 1", "weight = -1", 1) + three, whole: true},
		"the same mistake in two":           {before: one + two + three, after: strings.ReplaceAll(one+two+three, "weight = 1", "weight = x"), whole: true},
		"another interface":                 {before: one + two + three, after: one + two + three + "[[vrrp]]\nname = \"x\"\n", whole: true},
		"services in a list":                {before: "[x]\n" + one, after: "[x]\n" + one, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := loadSources(textsOf(againHead+c.before), testHost())
			if name == "services in a list" {
				list := "service = [{ name = \"a\", listen = [\"192.0.2.150:80\"], real = [{ address = \"10.1.0.11\" }] }]\n"
				head := strings.Split(againHead, "[[vrrp.track]]")[0]
				c.after = list + head
				before, err = loadSources(textsOf(c.after), testHost())
			} else {
				c.after = againHead + c.after
			}
			if err != nil {
				t.Fatal(err)
			}
			want := described(loadSources(textsOf(c.after), testHost()))
			got, ok := loadChanged(textsOf(c.after), testHost(), before)
			if ok == c.whole {
				t.Fatalf("only what differs was read: %v, want %v", ok, !c.whole)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(want, described(got, nil)); diff != "" {
				t.Errorf("it is not what a whole load has:\n%s", diff)
			}
			// The next one starts from it.
			next, ok := loadChanged(textsOf(againHead+c.before), testHost(), got)
			if want := described(before, nil); !ok || described(next, nil) != want {
				t.Errorf("the way back (%v):\n%s", ok, cmp.Diff(want, described(next, nil)))
			}
		})
	}
}

// TestTemplatesAreReadAgain: their result may be another although the text is not.
func TestTemplatesAreReadAgain(t *testing.T) {
	text := againHead + againService(1) + strings.Replace(againService(2), `"10.1.0.12"`, `"{{ GetInterfaceIP \"eth10\" }}"`, 1)
	before, err := loadSources(textsOf(text), testHost())
	if err != nil {
		t.Fatal(err)
	}
	opt := testHost()
	addresses := opt.Addresses
	opt.Addresses = func() ([]HostAddress, error) {
		all, err := addresses()
		all[len(all)-1].Prefix = netip.MustParsePrefix("10.1.0.77/16")
		return all, err
	}
	after, ok := loadChanged(textsOf(text), opt, before)
	if !ok || after.Services[1].Real[0].Address.String() != "10.1.0.77" {
		t.Errorf("loaded again (%v): %+v, want the host's new address", ok, after)
	}
}

// TestLoadAgainIsLoad: whatever an editor does to the files, LoadAgain yields what
// Load does, with the same errors and warnings at the same places.
func TestLoadAgainIsLoad(t *testing.T) {
	snippets := []string{
		"\n", "# note\n", "[[service]]\n", "  [[service]]\n", "[service.check]\n", "'''", `"""`, "\"", "weight = 3\n", "weight = 0\n", "[[vrrp]]\n",
		"[api]\n", "[node]\nname = \"lvs2\"\n", againService(7), againService(1), againHead, "[[service.real]]\naddress = \"10.1.9.9\"\n", "\r\n", "\\", "{{", "]", "=", "é", "\x00",
		"x = '''\n[[service]]\n'''\n", "persistence = \"1m\"\n", "name = \"s2\"\n",
	}
	fast := 0
	rapid.Check(t, func(t *rapid.T) {
		files := []string{againHead + againService(1) + againService(2) + againService(3), againService(4) + againService(5)}
		before, err := loadSources(textsOf(files...), testHost())
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "edits") {
			next := append([]string(nil), files...)
			for range rapid.IntRange(1, 2).Draw(t, "places") {
				i := rapid.IntRange(0, 1).Draw(t, "file")
				text := next[i]
				switch rapid.IntRange(0, 4).Draw(t, "kind") {
				case 0: // another number
					at := digits(text)
					if len(at) > 0 {
						p := rapid.SampledFrom(at).Draw(t, "digit")
						next[i] = text[:p] + rapid.SampledFrom([]string{"0", "2", "5", "x", ""}).Draw(t, "becomes") + text[p+1:]
					}
				case 1:
					p := rapid.IntRange(0, len(text)).Draw(t, "at")
					next[i] = text[:p] + rapid.SampledFrom(snippets).Draw(t, "inserted") + text[p:]
				case 2: // at the begin of a line
					p := lineAfter(text, rapid.IntRange(0, len(text)).Draw(t, "at"))
					next[i] = text[:p] + rapid.SampledFrom(snippets).Draw(t, "inserted") + text[p:]
				case 3:
					p := rapid.IntRange(0, len(text)).Draw(t, "from")
					q := rapid.IntRange(p, min(len(text), p+80)).Draw(t, "to")
					next[i] = text[:p] + text[q:]
				case 4: // whole lines
					p := lineAfter(text, rapid.IntRange(0, len(text)).Draw(t, "from"))
					q := lineAfter(text, rapid.IntRange(p, len(text)).Draw(t, "to"))
					next[i] = text[:p] + text[q:]
				}
			}
			whole, wholeErr := loadSources(textsOf(next...), testHost())
			want := described(whole, wholeErr)
			got, ok := loadChanged(textsOf(next...), testHost(), before)
			if ok {
				fast++
				if diff := cmp.Diff(want, described(got, nil)); diff != "" {
					t.Fatalf("of\n%q\nafter\n%q:\n%s", next, before.Texts, diff)
				}
				whole = got
			}
			if wholeErr == nil {
				before, files = whole, next
			}
		}
	})
	if fast == 0 {
		t.Error("there was nothing that could be read in part")
	}
}

func digits(text string) (at []int) {
	for i := range len(text) {
		if '0' <= text[i] && text[i] <= '9' {
			at = append(at, i)
		}
	}
	return at
}

// lineAfter is the first begin of a line from at on.
func lineAfter(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// TestLoadAgainReadsTheFiles: the first time as a whole, then what is different, and
// with the errors of a whole load.
func TestLoadAgainReadsTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "haldir.toml")
	save := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save(againHead + againService(1))
	first, err := LoadAgain(path, testHost(), nil)
	if err != nil {
		t.Fatal(err)
	}
	save(againHead + strings.Replace(againService(1), "weight = 1", "weight = 9", 1))
	second, err := LoadAgain(path, testHost(), first)
	if err != nil || second.Services[0].Real[0].Weight != 9 || second.Digest == first.Digest {
		t.Errorf("loaded again: %+v, %v, want weight 9 and another digest", second, err)
	}
	save(againHead + strings.Replace(againService(1), "weight = 1", "weight = 99999", 1))
	_, want := Load(path, testHost())
	if _, err := LoadAgain(path, testHost(), second); err == nil || err.Error() != want.Error() {
		t.Errorf("error\n%v, want\n%v", err, want)
	}
}
