package stage

import "strings"

// Table lays out rows in columns, with a rule below the first.
func Table(rows [][]string) string {
	var widths []int
	for _, r := range rows {
		for i, text := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(text))
		}
	}
	var b strings.Builder
	line := func(r []string) {
		var l strings.Builder
		for i, text := range r {
			l.WriteString("  " + text + strings.Repeat(" ", widths[i]-width(text)))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	for i, r := range rows {
		line(r)
		if i == 0 {
			rule := make([]string, len(widths))
			for i, w := range widths {
				rule[i] = strings.Repeat("─", w)
			}
			line(rule)
		}
	}
	return b.String()
}
