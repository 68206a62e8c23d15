package guest

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// hostTree makes a directory with files of which the contents are their names.
func hostTree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		at := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(file), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fakeKernel is a kernel with a single module and no dependencies.
func fakeKernel(t *testing.T) Kernel {
	t.Helper()
	return Kernel{Release: "6.1.0", Modules: hostTree(t, "kernel/net/a.ko", "modules.dep")}
}

func TestImageHasInitModulesPlanAndFiles(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := hostTree(t, "sub/file")
	if err := os.Symlink("sub/file", filepath.Join(data, "link")); err != nil {
		t.Fatal(err)
	}
	kernel := fakeKernel(t)
	img, err := newImage(executable, kernel, wire.Plan{Modules: []string{"m"}}, Files{"/bin/tool": filepath.Join(data, "link"), "/data": data})
	if err != nil {
		t.Fatal(err)
	}
	self := Self(executable)
	for at, want := range map[string]entry{
		"/init":                                  {mode: os.ModeSymlink, target: self},
		"/usr/sbin/modprobe":                     {mode: os.ModeSymlink, target: self},
		"/bin":                                   {mode: os.ModeSymlink, target: "usr/bin"},
		"/usr/bin/tool":                          {mode: 0o640, host: filepath.Join(data, "sub/file")},
		"/data/sub":                              {mode: os.ModeDir | 0o755},
		"/data/sub/file":                         {mode: 0o640, host: filepath.Join(data, "sub/file")},
		"/data/link":                             {mode: os.ModeSymlink, target: "sub/file"},
		"/usr/lib/modules/6.1.0/kernel/net/a.ko": {mode: 0o640, host: filepath.Join(kernel.Modules, "kernel/net/a.ko")},
		wire.PlanPath:                            {mode: 0o644, text: []byte(`{"modules":["m"],"steps":null}`)},
	} {
		if diff := cmp.Diff(want, img[at], cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("%s: unexpected entry (-want +got)\n%s", at, diff)
		}
	}
	if img[self].host != executable {
		t.Errorf("%s comes from %q, want %q", self, img[self].host, executable)
	}
	for at := range img {
		if parent := filepath.Dir(at); !img[parent].mode.IsDir() {
			t.Errorf("%s has no directory", at)
		}
	}
}

func TestImageRefusesTwoFilesAtOnePlace(t *testing.T) {
	dir := hostTree(t, "a", "b")
	img := image{"/": {mode: os.ModeDir}}
	if err := img.add("/bin/x", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := img.add("/usr/bin/x", filepath.Join(dir, "a")); err != nil {
		t.Errorf("the same file twice: %v", err)
	}
	if err := img.add("/usr/bin/x", filepath.Join(dir, "b")); err == nil || !strings.Contains(err.Error(), "/usr/bin/x is there already") {
		t.Errorf("another file = %v, want a refusal that names the place", err)
	}
	if err := img.add("relative", filepath.Join(dir, "a")); err == nil {
		t.Error("a relative path was accepted")
	}
	if err := img.add("/y", filepath.Join(dir, "absent")); err == nil {
		t.Error("a file that does not exist was accepted")
	}
}

func TestImageIsTheSameEveryTime(t *testing.T) {
	dir := hostTree(t, "a", "b", "c/d")
	img := image{"/": {mode: os.ModeDir}}
	if err := img.add("/x", dir); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	size, err := img.write(&first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := img.write(&second); err != nil {
		t.Fatal(err)
	}
	if size != int64(first.Len()) || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("archives of %d and %d bytes, said to be %d, differ", first.Len(), second.Len(), size)
	}
	at := slices.Sorted(maps.Keys(img))
	if last := 0; len(at) > 0 {
		for _, name := range at[1:] {
			i := bytes.Index(first.Bytes(), []byte(name[1:]+"\x00"))
			if i <= last {
				t.Errorf("%s is at %d, want it after %d", name, i, last)
			}
			last = i
		}
	}
}
