package track

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// ReasonNumber is the reason of a check whose Detail is the number that the file
// holds.
const ReasonNumber healthcheck.Reason = "number"

// Number reads a whole number from -254 to 254 out of a file. It passes on one,
// and where the file is empty or absent, which is 0. Anything else is
// inconclusive: the last number stands.
type Number struct {
	Path string `json:"path"` // absolute
}

// numberLimit is more than a number with its line end and some spaces needs.
const numberLimit = 64

func (s Number) checker() (healthcheck.Checker, error) {
	if !filepath.IsAbs(s.Path) || strings.ContainsRune(s.Path, 0) {
		return nil, fmt.Errorf("path %q: not an absolute path", s.Path)
	}
	return func(context.Context, time.Time, healthcheck.Target) healthcheck.Result {
		text, err := readStart(s.Path, numberLimit)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return cannot(err)
		}
		n, err := ParseNumber(text)
		if err != nil {
			return cannot(fmt.Errorf("%s: %w", s.Path, err))
		}
		return healthcheck.Result{Outcome: healthcheck.Pass, Reason: ReasonNumber, Detail: strconv.Itoa(n)}
	}, nil
}

// ParseNumber reads the content of a file. Nothing is 0.
func ParseNumber(text string) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -MaxWeight || n > MaxWeight {
		return 0, fmt.Errorf("%.20q is not a number from %d to %d", text, -MaxWeight, MaxWeight)
	}
	return n, nil
}

// readStart reads a regular file of at most limit bytes. Something else, such as
// a pipe, could hold the reader up.
func readStart(path string, limit int64) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s: longer than a number", path)
	}
	return string(text), err
}
