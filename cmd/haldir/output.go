package main

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/term"
)

// printJSON prints v as every command does.
func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// terminal reports whether w is one that can be redrawn.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb"
}

// colourful reports whether w is a terminal that colours are welcome on.
func colourful(w io.Writer) bool { return terminal(w) && os.Getenv("NO_COLOR") == "" }
