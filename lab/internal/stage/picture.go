package stage

import (
	"fmt"
	"strings"
)

// Picture is what is drawn.
type Picture struct {
	Client  string // what the client does
	Nodes   []Node // directors, then real servers
	Servers []string
	// Rate is how many requests a column stands for.
	Rate    int
	Columns []Column // the oldest first
	// Now says what is being done.
	Now string
}

// Node is one machine.
type Node struct {
	Name string
	Role string
	Mood Mood
	Note string // a third line
}

// Mood is how a node does.
type Mood uint8

// Moods.
const (
	Calm   Mood = iota // a backup, a real server that waits
	Active             // the master, a real server in the pool
	Gone               // crashed, cut off
)

// Column is one tenth of a second of requests.
type Column struct {
	Answered []int // by index of Servers
	Failed   int   // refused, reset or without an answer
}

const (
	chartHeight = 6
	margin      = 2
	nodeWidth   = 15
	levels      = 8 // of one character
)

// Lines draws the picture.
func (p Picture) Lines(columns int) []string {
	rows := append(p.topology(columns), row{})
	rows = append(rows, p.legend())
	rows = append(rows, p.chart(columns)...)
	now := row{}
	now.put(margin, p.Now, cell{fg: none, bg: none, bold: true})
	rows = append(rows, row{}, now)
	lines := make([]string, len(rows))
	for i := range rows {
		lines[i] = rows[i].render(columns)
	}
	return lines
}

// topology draws the client, the router and the nodes below one line.
func (p Picture) topology(columns int) []row {
	wire := cell{fg: grey, bg: none}
	fit := min(len(p.Nodes), max((columns-margin)/nodeWidth, 1))
	rows := make([]row, 6)
	rows[0].put(margin, "client", cell{fg: none, bg: none, bold: true})
	rows[0].put(margin+len("client "), "── router ──┐", wire)
	rows[0].put(margin+len("client ── router ──┐  "), p.Client, cell{fg: grey, bg: none})
	const stem = margin + len("client ") + 12 // the column of the corner
	last := margin + (fit-1)*nodeWidth + 3
	for c := min(margin+3, stem); c <= max(last, stem); c++ {
		rows[1].put(c, "─", wire)
	}
	for i, n := range p.Nodes[:fit] {
		at := margin + i*nodeWidth
		joint := "┬"
		switch {
		case i == 0:
			joint = "┌"
		case i == fit-1 && last >= stem:
			joint = "┐"
		}
		rows[1].put(at+3, joint, wire)
		style := cell{fg: none, bg: none}
		switch n.Mood {
		case Active:
			style = cell{fg: green, bg: none, bold: true}
		case Gone:
			style = cell{fg: red, bg: none, bold: true}
			rows[2].put(at+3, "╳", style)
		}
		if n.Mood != Gone {
			rows[2].put(at+3, "│", wire)
		}
		rows[3].put(at+1, clip(n.Name, nodeWidth-2), cell{fg: none, bg: none, bold: true})
		rows[4].put(at+1, clip(n.Role, nodeWidth-2), style)
		rows[5].put(at+1, clip(n.Note, nodeWidth-2), cell{fg: grey, bg: none})
	}
	rows[1].put(stem, crossing(rows[1].chars[stem]), wire)
	if more := len(p.Nodes) - fit; more > 0 {
		rows[3].put(columns-10, fmt.Sprintf("+ %d more", more), wire)
	}
	return rows
}

// crossing is the character of a line that meets another from above.
func crossing(c rune) string {
	switch c {
	case '┬':
		return "┼"
	case '┌':
		return "├"
	case '┐':
		return "┤"
	}
	return "┴"
}

func clip(text string, most int) string {
	if width(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// legend names the colours.
func (p Picture) legend() row {
	var r row
	r.put(margin, "requests answered per 0.1 s", cell{fg: none, bg: none})
	at := margin + len("requests answered per 0.1 s") + 3
	for i, name := range p.Servers {
		r.put(at, "█ ", cell{fg: serverColour(i), bg: none})
		r.put(at+2, name, cell{fg: none, bg: none})
		at += 4 + width(name)
	}
	r.put(at, "█ ", cell{fg: red, bg: none})
	r.put(at+2, "no answer", cell{fg: none, bg: none})
	return r
}

// chart draws the latest columns as stacks, the first server at the bottom.
func (p Picture) chart(columns int) []row {
	rows := make([]row, chartHeight)
	room := max(columns-2*margin, 1)
	shown := p.Columns[max(0, len(p.Columns)-room):]
	for x, column := range shown {
		s := p.stack(column)
		for y := range rows {
			text, style := s.at((chartHeight - 1 - y) * levels)
			rows[y].put(margin+room-len(shown)+x, text, style)
		}
	}
	return rows
}

// stack is one column as segments of colour, each up to a level.
type stack []struct {
	top    int
	colour colour
}

func (p Picture) stack(c Column) stack {
	var s stack
	sum := 0
	grow := func(n int, of colour) {
		sum += n
		top := min((sum*chartHeight*levels+p.Rate/2)/max(p.Rate, 1), chartHeight*levels)
		s = append(s, struct {
			top    int
			colour colour
		}{top, of})
	}
	for i, n := range c.Answered {
		grow(n, serverColour(i))
	}
	grow(c.Failed, red)
	return s
}

// at returns the character whose lowest level is bottom: its lower part has the
// colour of what is there, its upper part that of what comes above.
func (s stack) at(bottom int) (string, cell) {
	style := cell{fg: none, bg: none}
	for i, segment := range s {
		if segment.top <= bottom {
			continue
		}
		style.fg = segment.colour
		height := segment.top - bottom
		if height >= levels {
			return "█", style
		}
		for _, next := range s[i+1:] {
			if next.top > segment.top {
				style.bg = next.colour
				break
			}
		}
		return string([]rune("▁▂▃▄▅▆▇")[height-1]), style
	}
	return " ", style
}

// Plain is the newest second in one line: what the picture's last ten columns say.
func (p Picture) Plain() string {
	answered := make([]int, len(p.Servers))
	failed := 0
	for _, c := range p.Columns[max(0, len(p.Columns)-10):] {
		for i, n := range c.Answered {
			answered[i] += n
		}
		failed += c.Failed
	}
	parts := make([]string, 0, len(p.Servers)+1)
	for i, name := range p.Servers {
		parts = append(parts, fmt.Sprintf("%s %d", name, answered[i]))
	}
	parts = append(parts, fmt.Sprintf("no answer %d", failed))
	return "requests of the last second: " + strings.Join(parts, ", ")
}
