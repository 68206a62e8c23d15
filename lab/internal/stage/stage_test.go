package stage

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

func plain(lines []string) []string {
	for i := range lines {
		lines[i] = strings.TrimRight(escapes.ReplaceAllString(lines[i], ""), " ")
	}
	return lines
}

func pair() Picture {
	return Picture{
		Client: "1000 requests a second",
		Nodes: []Node{
			{Name: "d1", Role: "no power", Mood: Gone}, {Name: "d2", Role: "master", Mood: Active, Note: "◆ 192.0.2.100"},
			{Name: "rs1", Role: "in the pool", Mood: Active}, {Name: "rs2", Role: "out"},
		},
		Servers: []string{"rs1", "rs2"},
		Rate:    100,
		Now:     "d1 loses its power",
	}
}

func TestTheTopologyShowsWhoIsWhatAndWhoIsCutOff(t *testing.T) {
	got := plain(pair().Lines(80))[:6]
	want := []string{
		"  client ── router ──┐            1000 requests a second",
		"     ┌──────────────┬┴─────────────┬──────────────┐",
		"     ╳              │              │              │",
		"   d1             d2             rs1            rs2",
		"   no power       master         in the pool    out",
		"                  ◆ 192.0.2.100",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d = %q, want %q", i, got[i], want[i])
		}
	}
}

func TestThePictureFitsItsWidth(t *testing.T) {
	p := pair()
	for range 500 {
		p.Columns = append(p.Columns, Column{Answered: []int{50, 50}})
	}
	for n := range 40 {
		p.Nodes = append(p.Nodes, Node{Name: fmt.Sprintf("node%d", n), Role: "a role that is far too long"})
		for _, columns := range []int{1, 10, 16, 40, 80, 200} {
			for i, line := range p.Lines(columns) {
				if got := width(line); got > columns {
					t.Fatalf("line %d is %d wide, want at most %d: %q", i, got, columns, line)
				}
			}
		}
	}
}

func TestTheChartStacksServersAndFailures(t *testing.T) {
	p := pair()
	p.Columns = []Column{
		{Answered: []int{50, 50}},
		{Answered: []int{50, 0}, Failed: 50},
		{Answered: []int{100, 0}},
		{Answered: []int{12, 0}},
		{},
	}
	// Six rows of eight levels for 100 requests: 50 fill three rows.
	type want struct {
		text   string
		fg, bg colour
	}
	tests := []struct {
		column, row int // row 0 is the lowest
		want        want
	}{
		{0, 0, want{"█", blue, none}}, {0, 2, want{"█", blue, none}}, {0, 3, want{"█", yellow, none}}, {0, 5, want{"█", yellow, none}},
		{1, 0, want{"█", blue, none}}, {1, 5, want{"█", red, none}},
		{2, 5, want{"█", blue, none}},
		{3, 0, want{"▆", blue, none}}, {3, 1, want{" ", none, none}},
		{4, 0, want{" ", none, none}},
	}
	for _, test := range tests {
		text, style := p.stack(p.Columns[test.column]).at(test.row * levels)
		if got := (want{text, style.fg, style.bg}); got != test.want {
			t.Errorf("column %d, row %d = %+v, want %+v", test.column, test.row, got, test.want)
		}
	}
	// A boundary within a character has both colours.
	text, style := p.stack(Column{Answered: []int{10, 90}}).at(0)
	if text != "▅" || style.fg != blue || style.bg != yellow {
		t.Errorf("boundary = %q %+v, want ▅ in blue on yellow", text, style)
	}
}

func TestPlainOutputHasNoEscapeCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newStage(&out, false, func() int { return 80 })
		s.Say("%s Then more.", s.Emphasis("First."))
		s.Show(func(p *Picture) {
			*p = pair()
			for range 12 {
				p.Columns = append(p.Columns, Column{Answered: []int{40, 50}, Failed: 10})
			}
		})
		time.Sleep(1500 * time.Millisecond)
		s.Close()
		s.Print("end\n")
		want := "   0.0s  First. Then more.\n" +
			"   1.0s  requests of the last second: rs1 400, rs2 500, no answer 100\nend\n"
		if got := out.String(); got != want {
			t.Errorf("output = %q, want %q", got, want)
		}
	})
}

// screen plays output on a terminal that is high enough never to scroll.
func screen(output string) []string {
	var lines [][]rune
	row, column := 0, 0
	at := func(r int) {
		for len(lines) <= r {
			lines = append(lines, nil)
		}
	}
	for output != "" {
		if m := escapes.FindStringIndex(output); m != nil && m[0] == 0 {
			code := output[:m[1]]
			output = output[m[1]:]
			switch code[len(code)-1] {
			case 'A':
				n := 0
				_, _ = fmt.Sscanf(code, "\x1b[%dA", &n)
				row -= n
			case 'K':
				at(row)
				lines[row] = lines[row][:min(column, len(lines[row]))]
			case 'J':
				at(row)
				lines = lines[:row+1]
				lines[row] = lines[row][:min(column, len(lines[row]))]
			}
			continue
		}
		c := []rune(output)[0]
		output = output[len(string(c)):]
		switch c {
		case '\n':
			row, column = row+1, 0 // a terminal turns it into both
		case '\r':
			column = 0
		default:
			at(row)
			for len(lines[row]) <= column {
				lines[row] = append(lines[row], ' ')
			}
			lines[row][column] = c
			column++
		}
	}
	var text []string
	for _, l := range lines {
		text = append(text, strings.TrimRight(string(l), " "))
	}
	return text
}

func TestTheStoryStaysAboveTheLivePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newStage(&out, true, func() int { return 60 })
		s.Say("before")
		s.Show(func(p *Picture) { *p = pair() })
		time.Sleep(time.Second)
		s.Say("a story that is so long that it has to go on in a second line of the terminal")
		s.Show(func(p *Picture) { p.Now = "something else" })
		time.Sleep(time.Second)
		s.Close()

		want := []string{
			"   0.0s  before",
			"   1.0s  a story that is so long that it has to go on in a",
			"         second line of the terminal",
		}
		p := pair()
		p.Now = "something else"
		want = append(want, plain(p.Lines(59))...)
		got := screen(out.String())
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("screen =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if !strings.HasSuffix(out.String(), "\x1b[?25h") {
			t.Error("the cursor is not given back at the end")
		}
	})
}

func TestAnUnchangedPictureIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := newStage(&out, true, func() int { return 80 })
		s.Show(func(p *Picture) { *p = pair() })
		time.Sleep(150 * time.Millisecond)
		s.mu.Lock()
		first := out.Len()
		s.mu.Unlock()
		time.Sleep(time.Second)
		s.Close()
		if more := out.Len() - first; more > 10*len("\x1b[15A")+10*2*20 {
			t.Errorf("%d bytes for ten pictures without a change after %d for the first, want little but line ends", more, first)
		}
	})
}

func TestTableAlignsItsColumns(t *testing.T) {
	got := Table([][]string{{"what", "ms"}, {"a crash", "12"}, {"Ä", "3"}})
	want := "  what     ms\n" +
		"  ───────  ──\n" +
		"  a crash  12\n" +
		"  Ä        3\n"
	if got != want {
		t.Errorf("table =\n%s, want\n%s", got, want)
	}
}
