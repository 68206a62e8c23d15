package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// CacheVariable is the environment variable that overrides where kernels are
// kept: by default /var/cache/haldir/guest, or haldir/guest below the user's
// cache directory where the user is not root.
const CacheVariable = "HALDIR_GUEST_CACHE"

// DefaultKernel is the series of kernels that is used when none is asked for.
const DefaultKernel = "6.1"

// layout names the form of the cache. A change of what is unpacked, or how, takes
// a new name, so that older caches are not taken for it.
const layout = "v1"

const qemuProgram = "qemu-system-x86_64"

// ErrUnprepared says that something the guest needs is missing and could not be
// fetched; the message says what to do.
var ErrUnprepared = errors.New("guest kernel cannot be prepared")

// Kernel is an unpacked kernel.
type Kernel struct {
	Release string // as in uname -r
	Image   string // path of the bzImage
	Modules string // path of the modules and their index: lib/modules/RELEASE
}

// Prepare makes sure that QEMU is installed and that a kernel of a series
// ("6.1", "6.12"; empty: DefaultKernel) is in the cache. It downloads once, and
// leaves no half-done work behind when it is interrupted. As root on Debian it
// installs the package qemu-system-x86 where it is missing; it never installs a
// kernel. Run calls it.
func Prepare(ctx context.Context, series string, progress Progress) (Kernel, error) {
	if series == "" {
		series = DefaultKernel
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return Kernel{}, fmt.Errorf("%w: this is %s/%s, and the guest runs x86-64 Linux programs of the host; "+
			"use an x86-64 machine, or any Linux machine whose kernel has ip_vs", ErrUnprepared, runtime.GOOS, runtime.GOARCH)
	}
	if err := prepareQEMU(ctx, progress); err != nil {
		return Kernel{}, err
	}
	cache, err := cacheDir()
	if err != nil {
		return Kernel{}, err
	}
	cache = filepath.Join(cache, layout)
	kernel, err := openKernel(filepath.Join(cache, series))
	if !errors.Is(err, fs.ErrNotExist) {
		return kernel, err
	}
	if err := fetchKernel(ctx, cache, series, progress); err != nil {
		return Kernel{}, err
	}
	return openKernel(filepath.Join(cache, series))
}

func cacheDir() (string, error) {
	if dir := os.Getenv(CacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Geteuid() == 0 {
		return "/var/cache/haldir/guest", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the guest's kernel (set %s): %w", CacheVariable, err)
	}
	return filepath.Join(dir, "haldir", "guest"), nil
}

// openKernel looks at an unpacked kernel; fs.ErrNotExist says there is none.
func openKernel(dir string) (Kernel, error) {
	// The name of a series is a link, which may be moved while a guest runs.
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Kernel{}, err
	}
	image := filepath.Join(dir, imageName)
	if _, err := os.Stat(image); err != nil {
		return Kernel{}, err
	}
	modules, err := filepath.Glob(filepath.Join(dir, modulesDir, "*"))
	if err != nil {
		return Kernel{}, err
	}
	if len(modules) != 1 {
		return Kernel{}, fmt.Errorf("opening the guest's kernel: %d releases in %s, not 1; remove that directory", len(modules), dir)
	}
	return Kernel{Release: filepath.Base(modules[0]), Image: image, Modules: modules[0]}, nil
}

func prepareQEMU(ctx context.Context, progress Progress) error {
	if _, err := exec.LookPath(qemuProgram); err == nil {
		return nil
	}
	const byHand = "apt-get install --no-install-recommends qemu-system-x86"
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("%w: %s is not installed; install QEMU for x86-64 by this system's own means", ErrUnprepared, qemuProgram)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: %s is not installed, and only root may install it: %s", ErrUnprepared, qemuProgram, byHand)
	}
	err := withLists(ctx, progress, func() error {
		return progress.step("installing qemu-system-x86", func() (string, error) {
			_, err := apt(ctx, "", "apt-get", "install", "-y", "-q", "--no-install-recommends", "qemu-system-x86")
			return "", err
		})
	})
	if err != nil {
		return fmt.Errorf("%w: %s is missing; %s: %w", ErrUnprepared, qemuProgram, byHand, err)
	}
	return nil
}

// fetchKernel puts a kernel into cache/PACKAGE and a link to it at cache/SERIES.
func fetchKernel(ctx context.Context, cache, series string, progress Progress) error {
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: no kernel in %s, and this system has no %s to fetch one from Debian; "+
				"copy that directory from a Debian machine, or use a kernel that has ip_vs", ErrUnprepared, filepath.Join(cache, series), program)
		}
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("making the cache of the guest's kernels (set %s for another place): %w", CacheVariable, err)
	}
	removeLeftovers(cache)
	work, err := os.MkdirTemp(cache, workPrefix)
	if err != nil {
		return fmt.Errorf("making the cache of the guest's kernels: %w", err)
	}
	defer os.RemoveAll(work)

	var name, file string
	err = withLists(ctx, progress, func() (err error) {
		if name, err = kernelPackage(ctx, series); err != nil {
			return err
		}
		return progress.step("downloading "+name, func() (string, error) {
			if _, err := apt(ctx, work, "apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", name); err != nil {
				return "", err
			}
			file, err = onlyFile(work, ".deb")
			return sizeOf(file), err
		})
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnprepared, err)
	}
	tree := filepath.Join(work, "tree")
	err = progress.step("unpacking "+name, func() (string, error) {
		return "", unpackKernel(ctx, file, tree)
	})
	if err != nil {
		return fmt.Errorf("%w: unpacking %s: %w", ErrUnprepared, name, err)
	}
	// If another process was faster, its tree is as good as this one.
	if err := os.Rename(tree, filepath.Join(cache, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keeping the guest's kernel: %w", err)
	}
	link := filepath.Join(work, "link")
	if err := os.Symlink(name, link); err != nil {
		return fmt.Errorf("keeping the guest's kernel: %w", err)
	}
	if err := os.Rename(link, filepath.Join(cache, series)); err != nil {
		return fmt.Errorf("keeping the guest's kernel: %w", err)
	}
	return nil
}

// workPrefix begins the names of directories of work in progress.
const workPrefix = "work-"

// removeLeftovers removes what an interrupted run left, once no run can still
// be using it.
func removeLeftovers(cache string) {
	entries, _ := os.ReadDir(cache)
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.HasPrefix(entry.Name(), workPrefix) && time.Since(info.ModTime()) > 6*time.Hour {
			_ = os.RemoveAll(filepath.Join(cache, entry.Name()))
		}
	}
}

func onlyFile(dir, suffix string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", fmt.Errorf("%d %s files in %s, not 1", len(files), suffix, dir)
	}
	return files[0], nil
}

// sizeOf returns a file's size for people, empty if it cannot be told.
func sizeOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return ""
	}
	return mebibytes(info.Size())
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
