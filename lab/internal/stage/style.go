package stage

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// colour is an ANSI colour number, 0 to 15; none is the terminal's own.
type colour int8

const (
	none   colour = -1
	red    colour = 9
	green  colour = 10
	yellow colour = 11
	blue   colour = 12
	pink   colour = 13
	cyan   colour = 14
	grey   colour = 8
)

// palette gives each server a colour, in order; red is for what failed.
var palette = []colour{blue, yellow, pink, cyan, green}

func serverColour(i int) colour { return palette[i%len(palette)] }

// cell is the style of one character.
type cell struct {
	fg, bg colour
	bold   bool
}

// row is one line of the picture, built by columns.
type row struct {
	chars  []rune
	styles []cell
}

// put writes text at a column, over what is there.
func (r *row) put(column int, text string, style cell) {
	for _, c := range text {
		for len(r.chars) <= column {
			r.chars = append(r.chars, ' ')
			r.styles = append(r.styles, cell{fg: none, bg: none})
		}
		if column >= 0 {
			r.chars[column], r.styles[column] = c, style
		}
		column++
	}
}

// render returns the row as text with escape codes, at most width columns.
func (r *row) render(width int) string {
	var b strings.Builder
	plain := cell{fg: none, bg: none}
	current := plain
	for i, c := range r.chars {
		if i == width {
			break
		}
		if r.styles[i] != current {
			current = r.styles[i]
			b.WriteString(current.escape())
		}
		b.WriteRune(c)
	}
	if current != plain {
		b.WriteString(reset)
	}
	return b.String()
}

const reset = "\x1b[0m"

func (c cell) escape() string {
	codes := []string{"0"}
	if c.bold {
		codes = append(codes, "1")
	}
	for _, side := range []struct {
		colour       colour
		dark, bright int
	}{{c.fg, 30, 90}, {c.bg, 40, 100}} {
		switch {
		case side.colour >= 8:
			codes = append(codes, strconv.Itoa(side.bright+int(side.colour)-8))
		case side.colour >= 0:
			codes = append(codes, strconv.Itoa(side.dark+int(side.colour)))
		}
	}
	return "\x1b[" + strings.Join(codes, ";") + "m"
}

// width is how many columns text takes; escape codes take none.
func width(text string) int {
	columns := 0
	for {
		before, after, found := strings.Cut(text, "\x1b[")
		columns += utf8.RuneCountInString(before)
		if !found {
			return columns
		}
		_, text, _ = strings.Cut(after, "m")
	}
}

// wrap breaks text between words so that it fits, and indents all lines but the
// first, which begins at that column.
func wrap(text string, columns, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+width(word) > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += width(word)
	}
	return b.String()
}
