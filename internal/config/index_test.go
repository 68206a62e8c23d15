package config

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// flatten lists "path line:column text" of every entry below e.
func flatten(src *source, path string, e *entry, out map[string]string) {
	line, column := src.position(e.key)
	out[path] = fmt.Sprintf("%d:%d %s", line, column, src.text[e.start:e.end])
	for name, c := range e.table {
		flatten(src, path+"."+name, c, out)
	}
	for i, c := range e.items {
		flatten(src, fmt.Sprintf("%s[%d]", path, i), c, out)
	}
}

func TestIndex(t *testing.T) {
	text := strings.Join([]string{
		`top = 1 # comment`,                 // 1
		`[ a . "b c" ]`,                     // 2
		`  x.y = "é # ] \" "`,               // 3
		`"\u0065" = 1979-05-27 07:32:00`,    // 4
		`[[s]]`,                             // 5
		`l = [ 'one', # two`,                // 6
		`  [2, 3.5], { k = true, m.n = """`, // 7
		`a"b""""" } ]`,                      // 8
		`[[s.r]]`,                           // 9
		`[[s.r]]`,                           // 10
		`w = 7`,                             // 11
		`[s.c]`,                             // 12
		`[[s]]`,                             // 13
		`[[s.r]]`,                           // 14
		`é = {}`,                            // 15: no bare key, so the scan ends here
	}, "\n")
	valid := strings.TrimSuffix(text, "é = {}")

	got := map[string]string{}
	index := indexText(valid)
	if !index.complete || index.deep != -1 || index.again != -1 {
		t.Fatalf("complete %v, deep %d, again %d", index.complete, index.deep, index.again)
	}
	flatten(&source{text: valid}, "", index.root, got)
	want := map[string]string{
		"":               "1:1 ",
		".top":           "1:1 1",
		".a":             "2:1 ",
		".a.b c":         "2:1 ",
		".a.b c.x":       "3:3 ",
		".a.b c.x.y":     `3:5 "é # ] \" "`,
		".a.b c.e":       "4:1 1979-05-27 07:32:00",
		".s":             "5:1 ",
		".s[0]":          "5:1 ",
		".s[0].l":        "6:1 " + valid[strings.Index(valid, "[ 'one'"):strings.Index(valid, "\n[[s.r]]")],
		".s[0].l[0]":     "6:7 'one'",
		".s[0].l[1]":     "7:3 [2, 3.5]",
		".s[0].l[1][0]":  "7:4 2",
		".s[0].l[1][1]":  "7:7 3.5",
		".s[0].l[2]":     "7:13 " + valid[strings.Index(valid, "{ k"):strings.Index(valid, " ]\n[[s.r]]")],
		".s[0].l[2].k":   "7:15 true",
		".s[0].l[2].m":   "7:25 ",
		".s[0].l[2].m.n": "7:27 \"\"\"\na\"b\"\"\"\"\"",
		".s[0].r":        "9:1 ",
		".s[0].r[0]":     "9:1 ",
		".s[0].r[1]":     "10:1 ",
		".s[0].r[1].w":   "11:1 7",
		".s[0].c":        "12:1 ",
		".s[1]":          "13:1 ",
		".s[1].r":        "14:1 ",
		".s[1].r[0]":     "14:1 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("index differs (-want +got):\n%s", diff)
	}
	if indexText(text).complete {
		t.Error("a text that is no TOML was scanned to its end")
	}
}

// TestIndexDepth checks that what would make the library recurse without a bound
// is found first.
func TestIndexDepth(t *testing.T) {
	for name, text := range map[string]string{
		"lists":        "x = " + strings.Repeat("[", 1000),
		"tables":       "x = " + strings.Repeat("{a=", 1000),
		"dotted key":   strings.Repeat("a.", 1000) + "a = 1",
		"dotted table": "[" + strings.Repeat("a.", 1000) + "a]",
	} {
		if got := indexText(text); got.complete || got.deep < 0 {
			t.Errorf("%s: complete %v, deep %d", name, got.complete, got.deep)
		}
	}
	got := indexText("x = " + strings.Repeat("[", 20) + strings.Repeat("]", 20))
	if !got.complete || got.deep != -1 {
		t.Errorf("20 levels: complete %v, deep %d", got.complete, got.deep)
	}
}

func TestPosition(t *testing.T) {
	src := &source{text: "ab\nçd\n\nx"}
	for offset, want := range map[int][2]int{
		0: {1, 1}, 2: {1, 3}, 3: {2, 1}, 5: {2, 2}, 6: {2, 3}, 7: {3, 1}, 8: {4, 1}, 9: {4, 2},
		-5: {1, 1}, 100: {4, 2},
	} {
		line, column := src.position(offset)
		if got := [2]int{line, column}; got != want {
			t.Errorf("position(%d) = %v, want %v", offset, got, want)
		}
	}
}

// checkShape compares the index of a document with what the library decoded: the
// same keys, as many elements, and at each position the text of the value.
func checkShape(t *testing.T, src *source, path string, e *entry, data any) {
	t.Helper()
	switch data := data.(type) {
	case map[string]any:
		for key, value := range data {
			c := e.table[key]
			if c == nil {
				t.Errorf("%s: the index has no key %q", path, key)
				continue
			}
			checkShape(t, src, path+"."+key, c, value)
		}
		if len(e.table) != len(data) {
			t.Errorf("%s: the index has %d keys, the document %d", path, len(e.table), len(data))
		}
	case []map[string]any:
		elements := make([]any, len(data))
		for i := range data {
			elements[i] = data[i]
		}
		checkShape(t, src, path, e, elements)
	case []any:
		if len(e.items) != len(data) {
			t.Errorf("%s: the index has %d elements, the document %d", path, len(e.items), len(data))
			return
		}
		for i, element := range data {
			checkShape(t, src, fmt.Sprintf("%s[%d]", path, i), e.items[i], element)
		}
	default:
		var again struct {
			V any `toml:"v"`
		}
		if _, err := toml.Decode("v = "+src.text[e.start:e.end], &again); err != nil {
			t.Errorf("%s: the text %q of the value: %v", path, src.text[e.start:e.end], err)
		} else if !sameScalar(again.V, data) {
			t.Errorf("%s: the text %q is %v, the value %v", path, src.text[e.start:e.end], again.V, data)
		}
	}
}

func sameScalar(a, b any) bool {
	if x, ok := a.(float64); ok && math.IsNaN(x) {
		y, ok := b.(float64)
		return ok && math.IsNaN(y)
	}
	if x, ok := a.(time.Time); ok {
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return reflect.DeepEqual(a, b)
}

// FuzzIndex checks that the scanner reads any text without panic, and every text
// that the library accepts as the library reads it.
func FuzzIndex(f *testing.F) {
	addCorpus(f)
	for _, text := range []string{
		"a.b.c = 1\na.b.d = [[], [{x=1}]]\n[e.f]\n", "x = '''a''b'''''\ny=\"\"\"\\\"\"\"\"\n", "d = 1979-05-27 07:32:00 # c",
		"[[a]]\n[[a.b]]\n[a.b.c]\nx=1\n[[a.b]]\n", "\"\" = 1\r\n'q.q'.z = -inf\n", "x = [1,\n#c\n2,]", "i = {a.b=1, a.c=2,}",
		"[a.b]\n[a]\nb.c = 1", "a = [{b = {c = 1}}, {b = {c = 2}}]",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if invalidText(text) >= 0 || strings.HasPrefix(text, "\ufeff") {
			return // refused before it is scanned, or stripped
		}
		index := indexText(text)
		if index.deep >= 0 || index.again >= 0 {
			return // refused
		}
		values := map[string]any{}
		if decode(text, &values) != nil {
			return
		}
		if !index.complete {
			t.Fatal("the library accepts what the scanner cannot read")
		}
		checkShape(t, &source{text: text}, "", index.root, values)
	})
}

// addCorpus seeds a fuzz target with the files of testdata and the reference.
func addCorpus(f *testing.F) {
	for _, pattern := range []string{"testdata/*/*.toml", "../../etc/*.toml", "../../etc/examples/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
}
