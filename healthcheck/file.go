package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// File passes by whether a file is there on this host: a switch for people and
// scripts.
type File struct {
	// Path is absolute. {address} and {port} in it stand for the target's.
	Path string `json:"path,omitempty"`
	// UpWhen is "absent" (the default) or "present".
	UpWhen string `json:"up_when,omitempty"`
}

// FileStates returns the legal values of File.UpWhen.
func FileStates() []string { return []string{"absent", "present"} }

func (s File) checker() (Checker, error) {
	if !filepath.IsAbs(s.Path) || strings.ContainsRune(s.Path, 0) {
		return nil, fmt.Errorf("path %q: not an absolute path", shorten(s.Path))
	}
	if s.UpWhen != "" && s.UpWhen != "absent" && s.UpWhen != "present" {
		return nil, fmt.Errorf("up_when %q: unknown (legal: %v)", s.UpWhen, FileStates())
	}
	return func(_ context.Context, _ time.Time, t Target) Result {
		path := strings.NewReplacer("{address}", t.Address.Addr().String(),
			"{port}", strconv.Itoa(int(t.Address.Port()))).Replace(s.Path)
		_, err := os.Stat(path)
		present := err == nil
		if !present && !errors.Is(err, fs.ErrNotExist) {
			return Result{Outcome: Inconclusive, Reason: ReasonCannot, Detail: shorten(err.Error())}
		}
		r := Result{Outcome: Fail, Reason: ReasonAbsent, Detail: path}
		if present {
			r.Reason = ReasonPresent
		}
		if present == (s.UpWhen == "present") {
			r.Outcome = Pass
		}
		return r
	}, nil
}
