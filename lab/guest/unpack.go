package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmod"
)

// The layout of an unpacked kernel.
const (
	imageName  = "vmlinuz"
	modulesDir = "lib/modules"
)

// moduleFiles begin the names of the modules that are kept: everything that
// networks of namespaces need, the port to the host, and what those depend on.
var moduleFiles = [...]string{
	"kernel/arch/x86/crypto/", "kernel/crypto/", "kernel/lib/",
	"kernel/drivers/char/virtio_console.",
	"kernel/drivers/virtio/virtio.", "kernel/drivers/virtio/virtio_ring.", "kernel/drivers/virtio/virtio_pci",
	"kernel/drivers/net/bonding/", "kernel/drivers/net/dummy.", "kernel/drivers/net/ifb.", "kernel/drivers/net/ipvlan/",
	"kernel/drivers/net/macvlan.", "kernel/drivers/net/macvtap.", "kernel/drivers/net/nlmon.", "kernel/drivers/net/tap.",
	"kernel/drivers/net/team/", "kernel/drivers/net/tun.", "kernel/drivers/net/veth.", "kernel/drivers/net/vrf.", "kernel/drivers/net/vxlan/",
	"kernel/net/802/", "kernel/net/8021q/", "kernel/net/bridge/", "kernel/net/core/", "kernel/net/ife/", "kernel/net/ipv4/",
	"kernel/net/ipv6/", "kernel/net/key/", "kernel/net/llc/", "kernel/net/netfilter/", "kernel/net/netlink/", "kernel/net/packet/",
	"kernel/net/psample/", "kernel/net/sched/", "kernel/net/sctp/", "kernel/net/tls/", "kernel/net/unix/", "kernel/net/xfrm/",
}

// unpackKernel unpacks from a Debian package what a guest needs, into a new
// directory, and indexes its modules. The files are on disk when it returns.
func unpackKernel(ctx context.Context, deb, dir string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	said := newTail(4 << 10)
	cmd.Stderr = said
	stream, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	unpacked := unpackTar(stream, dir)
	if unpacked != nil {
		stream.Close() // ends dpkg-deb
	}
	if err := cmd.Wait(); err != nil || unpacked != nil {
		return fmt.Errorf("%w%s", errors.Join(unpacked, err), said.quote(8))
	}
	if err := decompress(ctx, dir); err != nil {
		return err
	}
	if err := stripSignatures(dir); err != nil {
		return err
	}
	trees, err := filepath.Glob(filepath.Join(dir, modulesDir, "*"))
	if err != nil {
		return err
	}
	if len(trees) != 1 {
		return fmt.Errorf("%d kernel releases in the package, not 1", len(trees))
	}
	index, err := kmod.Scan(trees[0])
	if err != nil {
		return err
	}
	if err := index.Save(trees[0]); err != nil {
		return err
	}
	return syncDir(dir)
}

func unpackTar(r io.Reader, dir string) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			// dpkg-deb fails if its padding is not read.
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		name := wanted(header.Name)
		if name == "" || header.Typeflag != tar.TypeReg {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := writeFile(file, archive); err != nil {
			return err
		}
	}
}

// wanted returns where a member of the package is unpacked, empty if it is not.
func wanted(member string) string {
	member = strings.TrimPrefix(path.Clean("/"+member), "/")
	member = strings.TrimPrefix(member, "usr/")
	if strings.HasPrefix(member, "boot/vmlinuz-") {
		return imageName
	}
	below, ok := strings.CutPrefix(member, modulesDir+"/")
	if !ok {
		return ""
	}
	_, name, _ := strings.Cut(below, "/")
	if name == "modules.builtin" {
		return member
	}
	for _, prefix := range moduleFiles {
		if strings.HasPrefix(name, prefix) {
			return member
		}
	}
	return ""
}

func writeFile(name string, r io.Reader) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// decompress makes .ko of the .ko.xz that newer packages have: the guest, being
// slow, gets them ready to use.
func decompress(ctx context.Context, dir string) error {
	var list bytes.Buffer
	err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(file, ".ko.xz") {
			list.WriteString(file + "\x00")
		}
		return err
	})
	if err != nil || list.Len() == 0 {
		return err
	}
	if _, err := exec.LookPath("xz"); err != nil {
		return errors.New("the modules of this kernel are compressed, and xz is not installed: apt-get install xz-utils")
	}
	cmd := exec.CommandContext(ctx, "xz", "--decompress", "--quiet", "--files0")
	cmd.Stdin = &list
	said := newTail(4 << 10)
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("decompressing kernel modules: %w%s", err, said.quote(8))
	}
	return nil
}

// syncDir brings every file below dir to the disk, so that a name given to dir
// afterwards never stands for half a tree.
func syncDir(dir string) error {
	return filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
