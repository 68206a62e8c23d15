package script

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// home makes a folder that root alone can change. The temporary folders of tests
// are in one where everybody can write.
func home(t *testing.T) string {
	t.Helper()
	testenv.Root(t)
	folder, err := os.MkdirTemp("/var/lib", "haldir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return folder
}

func TestSafe(t *testing.T) {
	folder := home(t)
	at := func(name string) string { return filepath.Join(folder, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string, mode os.FileMode) {
		t.Helper()
		must(os.WriteFile(at(name), []byte("#!/bin/sh\n"), 0o755))
		must(os.Chmod(at(name), mode))
	}
	must(os.Mkdir(at("open"), 0o755))
	must(os.Mkdir(at("strange"), 0o755))
	for name, mode := range map[string]os.FileMode{
		"good": 0o755, "plain": 0o644, "everybody": 0o757, "group": 0o775, "root-group": 0o775, "owned": 0o755, "open/good": 0o755, "strange/good": 0o755,
	} {
		file(name, mode)
	}
	must(os.Chown(at("group"), 0, 1))
	must(os.Chown(at("owned"), 1, 0))
	must(os.Chmod(at("open"), 0o1777))
	must(os.Chown(at("strange"), 1, 0))
	must(os.Symlink(at("good"), at("link")))
	must(os.Symlink("open/good", at("link-open")))
	must(os.Symlink("loop", at("loop")))
	must(os.Symlink(at("good"), at("link-owned")))
	must(os.Lchown(at("link-owned"), 1, 0))
	for _, test := range []struct {
		path   string
		want   string // in the error; empty: safe
		unsafe bool
	}{
		{at("good"), "", false},
		{at("root-group"), "", false},
		{at("link"), "", false},
		{at("open/../good"), "", false},
		{at("plain"), at("plain") + ": not executable (mode 0644)", false},
		{at("everybody"), at("everybody") + ": others than root can change it: everybody can write there (mode 0757)", true},
		{at("group"), at("group") + ": others than root can change it: group 1 can write there (mode 0775)", true},
		{at("owned"), at("owned") + ": others than root can change it: it belongs to user 1", true},
		{at("open/good"), at("open") + ": others than root can change it: everybody can write there (mode 0777)", true},
		{at("strange/good"), at("strange") + ": others than root can change it: it belongs to user 1", true},
		{at("link-open"), at("open") + ": others than root can change it", true},
		{at("link-owned"), at("link-owned") + ": others than root can change it: the link belongs to user 1", true},
		{at("loop"), "symbolic links", false},
		{at("none"), at("none") + ": no such file", false},
		{at("none/below"), at("none") + ": no such file", false},
		{at("good/below"), at("good") + ": not a folder", false},
		{folder, folder + ": not a regular file", false},
		{"/dev/null", "/dev/null: ", true},
		{"good", "good: not an absolute path", false},
	} {
		err := Safe(test.path)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) && test.want != "symbolic links" {
			t.Errorf("Safe(%s) = %v, want %q", test.path, err, test.want)
		}
		if errors.Is(err, ErrUnsafe) != test.unsafe {
			t.Errorf("Safe(%s) = %v: unsafe %v, want %v", test.path, err, errors.Is(err, ErrUnsafe), test.unsafe)
		}
	}
}
