package stage

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// refresh is how often a live picture is drawn. On a slow machine, share times
	// what it takes passes in between, but no more than latest.
	refresh = 100 * time.Millisecond
	share   = 10
	latest  = 500 * time.Millisecond
	// told is how often plain output tells the counts.
	told = time.Second
)

// Stage writes a story and a picture. Its methods may be called by many
// goroutines.
type Stage struct {
	out   io.Writer
	live  bool
	size  func() (columns int)
	start time.Time
	stop  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	picture Picture
	shown   bool     // there is something to draw
	drawn   []string // the lines on the screen, below the story
}

// leastRows is the height of a terminal that has room for the picture.
const leastRows = 20

// New returns a stage on f. It is live if f is a terminal with room for the
// picture, TERM is not "dumb" and NO_COLOR is not set. Close ends it.
func New(f *os.File) *Stage {
	_, rows, err := term.GetSize(int(f.Fd()))
	live := err == nil && rows >= leastRows && os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == ""
	return newStage(f, live, func() int {
		columns, _, err := term.GetSize(int(f.Fd()))
		if err != nil || columns <= 0 {
			return 80
		}
		return columns
	})
}

func newStage(out io.Writer, live bool, size func() int) *Stage {
	s := &Stage{out: out, live: live, size: size, start: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s
}

func (s *Stage) run() {
	defer close(s.ended)
	every := told
	if s.live {
		every = refresh
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
			began := time.Now()
			s.turn()
			timer.Reset(max(every, min(share*time.Since(began), latest)))
		}
	}
}

// turn shows the picture once more.
func (s *Stage) turn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.shown:
	case s.live:
		s.draw()
	case len(s.picture.Columns) > 0:
		s.line(s.picture.Plain())
	}
}

// Live reports whether escape codes are written.
func (s *Stage) Live() bool { return s.live }

// Say adds a line to the story.
func (s *Stage) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line(fmt.Sprintf(format, args...))
}

// stampWidth is the width of the time at the beginning of a line.
const stampWidth = 9

// line writes a line of the story, above the picture. The caller holds the lock.
func (s *Stage) line(text string) {
	at := time.Since(s.start).Seconds()
	if !s.live {
		_, _ = fmt.Fprintf(s.out, "%6.1fs  %s\n", at, text)
		return
	}
	s.erase()
	stamp := fmt.Sprintf("%s%6.1fs%s  ", cell{fg: grey, bg: none}.escape(), at, reset)
	_, _ = io.WriteString(s.out, stamp+wrap(text, s.size()-1, stampWidth)+"\n")
	if s.shown {
		s.draw()
	}
}

// Show changes the picture; the first call makes it appear.
func (s *Stage) Show(change func(*Picture)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = true
	change(&s.picture)
}

// draw writes the lines that differ from those on the screen, and leaves the
// cursor below. The caller holds the lock.
func (s *Stage) draw() {
	lines := s.picture.Lines(s.size() - 1)
	var b strings.Builder
	if len(s.drawn) == 0 {
		b.WriteString("\x1b[?25l") // no cursor
	} else {
		fmt.Fprintf(&b, "\x1b[%dA", len(s.drawn))
	}
	for i, line := range lines {
		if i >= len(s.drawn) || s.drawn[i] != line {
			b.WriteString("\r" + line + "\x1b[K")
		}
		b.WriteString("\r\n")
	}
	s.drawn = lines
	_, _ = io.WriteString(s.out, b.String())
}

// erase takes the picture off the screen, so that the cursor is at its place.
func (s *Stage) erase() {
	if len(s.drawn) > 0 {
		_, _ = fmt.Fprintf(s.out, "\x1b[%dA\r\x1b[J", len(s.drawn))
		s.drawn = nil
	}
}

// Close draws no more, leaves the last picture where it is and gives the cursor
// back. Print may still be used.
func (s *Stage) Close() {
	close(s.stop)
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		_, _ = io.WriteString(s.out, "\x1b[?25h")
	}
	s.drawn, s.shown = nil, false
}

// Print writes text as it is, after Close.
func (s *Stage) Print(text string) { _, _ = io.WriteString(s.out, text) }

// Emphasis returns text in bold, on a live stage.
func (s *Stage) Emphasis(text string) string {
	if !s.live {
		return text
	}
	return cell{fg: none, bg: none, bold: true}.escape() + text + reset
}
