package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haldir-lb/haldir/lab/guest/internal/cpio"
	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

const (
	initPath     = "/init"
	modprobePath = "/usr/sbin/modprobe"
	programDir   = "/usr/bin/"
)

// merged are the directories that are links to those in /usr.
var merged = [...]string{"/bin", "/sbin", "/lib", "/lib64"}

// emptyDirs are there whatever the Files say; the init mounts over some.
var emptyDirs = [...]string{
	"/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp",
	"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/var/cache", "/var/lib", "/var/log", "/var/tmp",
}

// hostTables are files of the host that programs look things up in: the names of
// users and protocols, and where libraries are. Those that exist are taken.
var hostTables = [...]string{
	"/etc/group", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/passwd", "/etc/protocols", "/etc/services",
}

// entry is one member of the image; exactly one of its sources is set, or none
// for a directory.
type entry struct {
	mode   fs.FileMode
	host   string // a file of the host
	text   []byte // contents
	target string // of a symbolic link
}

// image is the guest's root file system, by path.
type image map[string]entry

// newImage lays out the root: executable as init and modprobe, the modules of
// the kernel, the plan and the caller's files.
func newImage(executable string, kernel Kernel, plan wire.Plan, files Files) (image, error) {
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	img := image{"/": {mode: fs.ModeDir | 0o755}}
	for _, dir := range merged {
		img[dir] = entry{mode: fs.ModeSymlink, target: "usr" + dir}
	}
	for _, dir := range emptyDirs {
		img.dir(dir)
	}
	img["/var/run"] = entry{mode: fs.ModeSymlink, target: "../run"}
	for _, table := range hostTables {
		if _, err := os.Stat(table); err == nil {
			files = withDefault(files, table)
		}
	}
	needs := Files{}
	if err := needs.addLibraries(executable); err != nil {
		return nil, err
	}
	needs[Self(executable)] = executable
	needs[path.Join("/lib/modules", kernel.Release)] = kernel.Modules
	for _, set := range []Files{needs, files} {
		for _, at := range slices.Sorted(maps.Keys(set)) {
			if err := img.add(at, set[at]); err != nil {
				return nil, fmt.Errorf("adding %s to the guest: %w", at, err)
			}
		}
	}
	for _, link := range []string{initPath, modprobePath} {
		img[link] = entry{mode: fs.ModeSymlink, target: Self(executable)}
	}
	img[wire.PlanPath] = entry{mode: 0o644, text: text}
	if _, there := img["/etc/hosts"]; !there {
		img["/etc/hosts"] = entry{mode: 0o644, text: []byte("127.0.0.1 localhost guest\n::1 localhost\n")}
	}
	return img, nil
}

// Self is the path in the guest of the executable that Run was called in.
func Self(executable string) string { return programDir + filepath.Base(executable) }

func withDefault(files Files, at string) Files {
	if _, there := files[at]; there {
		return files
	}
	files = maps.Clone(files)
	if files == nil {
		files = Files{}
	}
	files[at] = at
	return files
}

// add adds a file or everything below a directory of the host.
func (img image) add(at, host string) error {
	if !path.IsAbs(at) {
		return errors.New("not an absolute path")
	}
	at = inUsr(path.Clean(at))
	root, err := filepath.EvalSymlinks(host)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return img.addOne(path.Join(at, filepath.ToSlash(rel)), file, d)
	})
}

func (img image) addOne(at, file string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		img.dir(at)
		return nil
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		return img.put(at, entry{mode: fs.ModeSymlink, target: target})
	case d.Type().IsRegular():
		info, err := d.Info()
		if err != nil {
			return err
		}
		return img.put(at, entry{mode: info.Mode().Perm(), host: file})
	}
	return nil // sockets and devices are not for another machine
}

// put adds an entry and its parents. A path may be given twice for the same file.
func (img image) put(at string, e entry) error {
	if old, there := img[at]; there && (old.host != e.host || old.target != e.target) {
		return fmt.Errorf("%s is there already, from %s%s", at, old.host, old.target)
	}
	img.dir(path.Dir(at))
	img[at] = e
	return nil
}

func (img image) dir(at string) {
	for ; at != "/"; at = path.Dir(at) {
		if _, there := img[at]; !there {
			img[at] = entry{mode: fs.ModeDir | 0o755}
		}
	}
}

// inUsr replaces a directory that is a link by what it links to.
func inUsr(at string) string {
	for _, dir := range merged {
		if at == dir || strings.HasPrefix(at, dir+"/") {
			return "/usr" + at
		}
	}
	return at
}

// write writes the image as a cpio archive, parents first, and returns its size.
// It is not compressed: for the emulated processor to decompress takes longer
// than for the host to write.
func (img image) write(w io.Writer) (int64, error) {
	count := &counter{w: w}
	archive := cpio.NewWriter(count)
	for _, at := range slices.Sorted(maps.Keys(img)) {
		if at == "/" {
			continue
		}
		if err := img[at].write(archive, at); err != nil {
			return 0, err
		}
	}
	return count.n, archive.Close()
}

func (e entry) write(archive *cpio.Writer, at string) error {
	switch {
	case e.mode.IsDir():
		return archive.Dir(at, e.mode)
	case e.mode.Type() == fs.ModeSymlink:
		return archive.Symlink(at, e.target)
	case e.host == "":
		return archive.File(at, e.mode, int64(len(e.text)), bytes.NewReader(e.text))
	}
	f, err := os.Open(e.host)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return archive.File(at, e.mode, info.Size(), f)
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
