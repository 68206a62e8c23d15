// Package cpio writes archives in the "newc" format (magic 070701), the only
// one that Linux unpacks as an initramfs. It does not read archives and
// compresses nothing.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// The type bits of a mode, as in inode(7).
const (
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeSymlink = 0o120000
)

const trailer = "TRAILER!!!"

// zeros is what an archive is padded with, to multiples of four bytes.
var zeros [3]byte

// Writer writes one archive. Everything belongs to root; times are zero, so
// that the same tree gives the same bytes.
type Writer struct {
	w   io.Writer
	ino uint32
	err error
}

// NewWriter returns a Writer on w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Dir adds a directory. Its parent must have been added before.
func (a *Writer) Dir(name string, perm fs.FileMode) error {
	a.header(name, typeDir|uint32(perm.Perm()), 2, 0)
	return a.err
}

// Symlink adds a symbolic link.
func (a *Writer) Symlink(name, target string) error {
	a.header(name, typeSymlink|0o777, 1, int64(len(target)))
	a.body(strings.NewReader(target), int64(len(target)))
	return a.err
}

// File adds a regular file of size bytes, read from r; an r that holds fewer
// is an error, as is a size of 4 GiB or more, which the format cannot say.
func (a *Writer) File(name string, perm fs.FileMode, size int64, r io.Reader) error {
	a.header(name, typeRegular|uint32(perm.Perm()), 1, size)
	a.body(r, size)
	return a.err
}

// Close writes the end of the archive; it does not close the underlying writer.
func (a *Writer) Close() error {
	a.ino = 0
	a.header(trailer, 0, 1, 0)
	if a.err != nil {
		return a.err
	}
	a.err = errors.New("archive is closed")
	return nil
}

// header writes the 110 bytes of hexadecimal fields and the name.
func (a *Writer) header(name string, mode, nlink uint32, size int64) {
	if a.err != nil {
		return
	}
	if size < 0 || size > math.MaxUint32 {
		a.err = fmt.Errorf("adding %s to an archive: size of %d bytes, at most %d", name, size, uint32(math.MaxUint32))
		return
	}
	name = strings.TrimPrefix(name, "/")
	if name != trailer {
		a.ino++
	}
	n, err := fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.ino, mode, 0, 0, nlink, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	a.fail(name, err)
	a.pad(int64(n))
}

func (a *Writer) body(r io.Reader, size int64) {
	if a.err != nil {
		return
	}
	_, err := io.CopyN(a.w, r, size)
	a.fail("contents", err)
	a.pad(size)
}

func (a *Writer) pad(n int64) {
	if a.err != nil {
		return
	}
	_, err := a.w.Write(zeros[:(4-n%4)%4])
	a.fail("padding", err)
}

func (a *Writer) fail(what string, err error) {
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("adding %s to an archive: %w", what, err)
	}
}
