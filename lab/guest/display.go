package guest

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// passedOn are the variables of the host's environment that a program in the
// guest gets too.
var passedOn = [...]string{"TERM", "COLORTERM", "NO_COLOR", "CLICOLOR_FORCE", "LANG", "TZ", "GOTRACEBACK", "GODEBUG"}

// Environment returns those variables of this process's environment that are
// about its terminal and about how to show things, for Options.Env.
func Environment() []string {
	var env []string
	for _, key := range passedOn {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// TerminalOf returns the size of the terminal that f is, nil if it is none: for
// Options.Terminal.
func TerminalOf(f *os.File) *Terminal {
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return nil
	}
	return &Terminal{Columns: uint16(columns), Rows: uint16(rows)}
}

// ShowProgress returns a Progress that writes one line for each piece of work
// when it is done. On a terminal the line is there from the beginning.
func ShowProgress(f *os.File) Progress {
	live := term.IsTerminal(int(f.Fd()))
	return func(e Event) { writeProgress(f, live, e) }
}

func writeProgress(w io.Writer, live bool, e Event) {
	if !e.Done {
		if live {
			fmt.Fprintf(w, "guest: %s ...", e.What)
		}
		return
	}
	if live {
		fmt.Fprint(w, "\r\x1b[K")
	}
	switch {
	case e.Err != nil:
		fmt.Fprintf(w, "guest: %s: failed after %.1f s\n", e.What, e.Took.Seconds())
	case e.Note != "":
		fmt.Fprintf(w, "guest: %s: %.1f s, %s\n", e.What, e.Took.Seconds(), e.Note)
	default:
		fmt.Fprintf(w, "guest: %s: %.1f s\n", e.What, e.Took.Seconds())
	}
}
