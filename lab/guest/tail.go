package guest

import (
	"strings"
	"sync"
)

// tail is a writer that keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	size int
	data []byte
}

func newTail(size int) *tail { return &tail{size: size} }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if cut := len(t.data) - t.size; cut > 0 {
		t.data = append(t.data[:0], t.data[cut:]...)
	}
	return len(p), nil
}

// lines returns the last n lines that are not empty.
func (t *tail) lines(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(string(t.data)) {
		if line = strings.TrimRight(line, "\r\n \t"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}

// quote returns the last n lines as the end of an error message: each on a line
// of its own, or nothing.
func (t *tail) quote(n int) string {
	var b strings.Builder
	for _, line := range t.lines(n) {
		b.WriteString("\n\t" + line)
	}
	return b.String()
}
