package guest

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmod"
	"github.com/haldir-lb/haldir/lab/guest/internal/kmodtest"
)

// debian is a machine whose apt, dpkg and QEMU are scripts. They write their
// command lines to a journal, and look at files named "refuse-PROGRAM-VERB".
type debian struct{ dir, cache string }

const script = `#!/bin/sh
echo "${0##*/} $*" >> "$FAKE/journal"
[ -e "$FAKE/refuse-${0##*/}-$1" ] && { echo "E: refused" >&2; exit 100; }
case "${0##*/} $1" in
"apt-get update") : > "$FAKE/updated" ;;
"apt-cache show")
	[ -e "$FAKE/updated" ] || { echo "N: Unable to locate package $3" >&2; exit 100; }
	case "$3" in
	linux-image-cloud-amd64) echo "Package: $3"; echo "Depends: linux-image-6.1.0-9-cloud-amd64 (= 6.1.9)" ;;
	linux-image-6.12-cloud-amd64) echo "Depends: linux-base, linux-image-6.12.7-cloud-amd64" ;;
	*) exit 100 ;;
	esac ;;
"apt-get download") : > downloaded.deb ;;
"apt-get install") /bin/cp "$0" "$FAKE/qemu-system-x86_64" ;;
"dpkg-deb --fsys-tarfile") exec /bin/cat "$FAKE/package.tar" ;;
*) exit 1 ;;
esac
`

func newDebian(t *testing.T) *debian {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("guests are for x86-64 Linux")
	}
	d := &debian{dir: t.TempDir(), cache: t.TempDir()}
	for _, program := range []string{"apt-get", "apt-cache", "dpkg-deb", qemuProgram} {
		d.write(t, program, script)
	}
	t.Setenv("PATH", d.dir)
	t.Setenv("FAKE", d.dir)
	t.Setenv(CacheVariable, d.cache)
	d.pack(t, map[string]string{
		"./boot/vmlinuz-6.1.0-9-cloud-amd64":                                          "the kernel",
		"./boot/config-6.1.0-9-cloud-amd64":                                           "not wanted",
		"./lib/modules/6.1.0-9-cloud-amd64/modules.builtin":                           "kernel/net/unix/unix.ko\n",
		"./lib/modules/6.1.0-9-cloud-amd64/kernel/net/netfilter/ipvs/ip_vs.ko":        signed(string(kmodtest.Module("depends=libcrc32c\x00")), "signature"),
		"./lib/modules/6.1.0-9-cloud-amd64/kernel/lib/libcrc32c.ko":                   string(kmodtest.Module("depends=\x00")),
		"./lib/modules/6.1.0-9-cloud-amd64/kernel/drivers/net/veth.ko":                string(kmodtest.Module("depends=\x00")),
		"./lib/modules/6.1.0-9-cloud-amd64/kernel/drivers/net/ethernet/intel/e100.ko": "not wanted",
		"./lib/modules/6.1.0-9-cloud-amd64/kernel/fs/xfs/xfs.ko":                      "not wanted",
	})
	return d
}

func (d *debian) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// pack makes the tar file that the fake dpkg-deb unpacks.
func (d *debian) pack(t *testing.T, files map[string]string) {
	t.Helper()
	f, err := os.Create(filepath.Join(d.dir, "package.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// ran returns the first two words of every command since the last call.
func (d *debian) ran(t *testing.T) []string {
	t.Helper()
	journal := filepath.Join(d.dir, "journal")
	text, err := os.ReadFile(journal)
	if err != nil {
		return nil
	}
	if err := os.Remove(journal); err != nil {
		t.Fatal(err)
	}
	var ran []string
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		ran = append(ran, strings.Join(words[:2], " "))
	}
	return ran
}

// signed appends a signature as the kernel's build does.
func signed(module, signature string) string {
	return module + signature + "\x00\x00\x02\x00\x00\x00\x00\x00" + "\x00\x00\x00" + string(rune(len(signature))) + signatureMark
}

func (d *debian) needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root refreshes package lists")
	}
}

func TestPrepareFetchesOnceAndThenNeedsNobody(t *testing.T) {
	d := newDebian(t)
	d.needsRoot(t)
	var did []string
	progress := func(e Event) {
		if e.Done && e.Err == nil {
			did = append(did, e.What)
		}
	}
	kernel, err := Prepare(t.Context(), "", progress)
	if err != nil {
		t.Fatal(err)
	}
	wantDid := []string{"refreshing the package lists", "downloading linux-image-6.1.0-9-cloud-amd64", "unpacking linux-image-6.1.0-9-cloud-amd64"}
	if diff := cmp.Diff(wantDid, did); diff != "" {
		t.Errorf("unexpected progress (-want +got)\n%s", diff)
	}
	wantRan := []string{"apt-cache show", "apt-cache show", "apt-get update", "apt-cache show", "apt-cache show", "apt-get download", "dpkg-deb --fsys-tarfile"}
	if diff := cmp.Diff(wantRan, d.ran(t)); diff != "" {
		t.Errorf("unexpected commands (-want +got)\n%s", diff)
	}
	if image, err := os.ReadFile(kernel.Image); err != nil || string(image) != "the kernel" || kernel.Release != "6.1.0-9-cloud-amd64" {
		t.Errorf("kernel %+v has the image %q, %v", kernel, image, err)
	}

	again, err := Prepare(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(kernel, again); diff != "" {
		t.Errorf("unexpected kernel the second time (-want +got)\n%s", diff)
	}
	if ran := d.ran(t); ran != nil {
		t.Errorf("the second time ran %v, want nothing", ran)
	}
	if left, _ := filepath.Glob(filepath.Join(d.cache, layout, workPrefix+"*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestPrepareKeepsTheWantedModulesUnsignedAndIndexed(t *testing.T) {
	d := newDebian(t)
	d.write(t, "updated", "")
	kernel, err := Prepare(t.Context(), "6.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	index, err := kmod.Open(kernel.Modules)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ip_vs", "libcrc32c", "veth"}, index.Names()); diff != "" {
		t.Errorf("unexpected modules (-want +got)\n%s", diff)
	}
	files, err := index.Resolve("ip_vs")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kernel/lib/libcrc32c.ko", "kernel/net/netfilter/ipvs/ip_vs.ko"}, files); diff != "" {
		t.Errorf("unexpected order (-want +got)\n%s", diff)
	}
	got, err := os.ReadFile(filepath.Join(kernel.Modules, "kernel/net/netfilter/ipvs/ip_vs.ko"))
	if err != nil {
		t.Fatal(err)
	}
	if want := kmodtest.Module("depends=libcrc32c\x00"); string(got) != string(want) {
		t.Errorf("module of %d bytes, want it as it was before it was signed, %d bytes", len(got), len(want))
	}
}

func TestPrepareChoosesTheSeries(t *testing.T) {
	d := newDebian(t)
	d.write(t, "updated", "")
	for series, want := range map[string]string{"6.1": "linux-image-6.1.0-9-cloud-amd64", "6.12": "linux-image-6.12.7-cloud-amd64"} {
		if got, err := kernelPackage(t.Context(), series); got != want || err != nil {
			t.Errorf("kernelPackage(%s) = %q, %v, want %q", series, got, err, want)
		}
	}
	if _, err := kernelPackage(t.Context(), "5.10"); !errors.Is(err, errNoPackage) || !strings.Contains(err.Error(), "linux-image-6.1.0-9-cloud-amd64") {
		t.Errorf("kernelPackage(5.10) = %v, want the kernel that there is", err)
	}
}

func TestPrepareAfterAFailureBeginsAnew(t *testing.T) {
	d := newDebian(t)
	d.write(t, "updated", "")
	for name, what := range map[string]string{
		"refuse-apt-get-download":        "running apt-get download",
		"refuse-dpkg-deb---fsys-tarfile": "unpacking linux-image-6.1.0-9-cloud-amd64",
	} {
		d.write(t, name, "")
		_, err := Prepare(t.Context(), "", nil)
		if !errors.Is(err, ErrUnprepared) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "E: refused") {
			t.Errorf("Prepare with %s = %v, want ErrUnprepared that names %q and quotes the program", name, err, what)
		}
		entries, err := os.ReadDir(filepath.Join(d.cache, layout))
		if err != nil || len(entries) != 0 {
			t.Errorf("with %s the cache has %v, %v, want nothing", name, entries, err)
		}
		if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Prepare(t.Context(), "", nil); err != nil {
		t.Errorf("Prepare when all is well again: %v", err)
	}
}

func TestPrepareWithoutDebianSaysWhatToDo(t *testing.T) {
	d := newDebian(t)
	if err := os.Remove(filepath.Join(d.dir, "dpkg-deb")); err != nil {
		t.Fatal(err)
	}
	_, err := Prepare(t.Context(), "", nil)
	if !errors.Is(err, ErrUnprepared) || !strings.Contains(err.Error(), "no dpkg-deb") || !strings.Contains(err.Error(), filepath.Join(d.cache, layout, DefaultKernel)) {
		t.Errorf("without dpkg-deb: %v, want what is missing and where a kernel may be put", err)
	}
	if err := os.Remove(filepath.Join(d.dir, qemuProgram)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(d.dir, "apt-get")); err != nil {
		t.Fatal(err)
	}
	if _, err := Prepare(t.Context(), "", nil); !errors.Is(err, ErrUnprepared) || !strings.Contains(err.Error(), "install QEMU") {
		t.Errorf("without QEMU: %v, want a remedy", err)
	}
}

func TestPrepareInstallsQEMUWhereItIsMissing(t *testing.T) {
	d := newDebian(t)
	d.needsRoot(t)
	d.write(t, "updated", "")
	if err := os.Remove(filepath.Join(d.dir, qemuProgram)); err != nil {
		t.Fatal(err)
	}
	d.write(t, "refuse-apt-get-install", "")
	if _, err := Prepare(t.Context(), "", nil); !errors.Is(err, ErrUnprepared) || !strings.Contains(err.Error(), "--no-install-recommends qemu-system-x86") {
		t.Errorf("Prepare when it cannot be installed = %v, want the command to do it by hand", err)
	}
	if err := os.Remove(filepath.Join(d.dir, "refuse-apt-get-install")); err != nil {
		t.Fatal(err)
	}
	d.ran(t)
	if _, err := Prepare(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	if ran := d.ran(t); ran[0] != "apt-get install" {
		t.Errorf("ran %v, want apt-get install first", ran)
	}
}

func TestPrepareStopsWhenCancelled(t *testing.T) {
	newDebian(t).write(t, "updated", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Prepare(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Prepare = %v, want context.Canceled", err)
	}
}

func TestWithoutSignature(t *testing.T) {
	for in, want := range map[string]string{
		signed("module", "sig"):                    "module",
		"module":                                   "module",
		signatureMark:                              signatureMark,
		"\xff\xff\xff\xff" + signatureMark:         "\xff\xff\xff\xff" + signatureMark,
		"01234567\xff\xff\xff\xff" + signatureMark: "01234567\xff\xff\xff\xff" + signatureMark,
	} {
		if got := string(withoutSignature([]byte(in))); got != want {
			t.Errorf("withoutSignature(%q) = %q, want %q", in, got, want)
		}
	}
}
