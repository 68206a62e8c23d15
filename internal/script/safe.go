package script

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrUnsafe marks programs that somebody other than root could replace.
var ErrUnsafe = errors.New("others than root can change it")

// maxLinks is how many symbolic links a path may lead through.
const maxLinks = 40

// Safe returns nil if a program can be run without giving anybody but root a say
// in what is run: it is an executable regular file, and it, every folder on its
// path and every symbolic link there belong to root and can be written by nobody
// else. Otherwise the error names the first component that is wrong. Whoever may
// write into a sticky folder such as /tmp may put something there, so that is not
// safe either.
func Safe(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s: not an absolute path", path)
	}
	links := 0
	at := "/"
	rest := strings.Split(filepath.Clean(path), "/")[1:]
	for {
		info, err := os.Lstat(at)
		if err != nil {
			return fmt.Errorf("%s: %w", at, reasonOf(err))
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if owner, known := ownerOf(info); known && owner != 0 {
				return fmt.Errorf("%s: %w: the link belongs to user %d", at, ErrUnsafe, owner)
			}
			if links++; links > maxLinks {
				return fmt.Errorf("%s: more than %d symbolic links", path, maxLinks)
			}
			to, err := os.Readlink(at)
			if err != nil {
				return fmt.Errorf("%s: %w", at, reasonOf(err))
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(at), to)
			}
			at, rest = "/", append(strings.Split(filepath.Clean(to), "/")[1:], rest...)
			continue
		}
		if err := safeComponent(at, info); err != nil {
			return err
		}
		for len(rest) > 0 && rest[0] == "" {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return safeProgram(at, info)
		}
		if !info.IsDir() {
			return fmt.Errorf("%s: not a folder", at)
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

func safeComponent(path string, info fs.FileInfo) error {
	if owner, known := ownerOf(info); known && owner != 0 {
		return fmt.Errorf("%s: %w: it belongs to user %d", path, ErrUnsafe, owner)
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		return fmt.Errorf("%s: %w: everybody can write there (mode %04o)", path, ErrUnsafe, mode)
	case mode&0o020 != 0:
		if group, known := groupOf(info); known && group != 0 {
			return fmt.Errorf("%s: %w: group %d can write there (mode %04o)", path, ErrUnsafe, group, mode)
		}
	}
	return nil
}

func safeProgram(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s: not executable (mode %04o)", path, info.Mode().Perm())
	}
	return nil
}

// reasonOf drops the path that an error of the system repeats.
func reasonOf(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// RunSafe is Run for a program that is Safe.
func RunSafe(ctx context.Context, c Command) (Result, error) {
	if len(c.Args) > 0 {
		if err := Safe(c.Args[0]); err != nil {
			return Result{}, fmt.Errorf("%w: %w", ErrNotStarted, err)
		}
	}
	return Run(ctx, c)
}
