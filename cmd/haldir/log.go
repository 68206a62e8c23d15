package main

import (
	"io"
	"log/slog"
	"os"
)

// debugVariable turns on debug messages.
const debugVariable = "HALDIR_DEBUG"

// newLogger writes text lines. Under systemd the journal has the time already.
func newLogger(w io.Writer, process string) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if os.Getenv(debugVariable) != "" {
		options.Level = slog.LevelDebug
	}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, options)).With("process", process)
}
