package kmod

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmodtest"
)

func module(t *testing.T, dir, file, modinfo string) {
	t.Helper()
	file = filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, kmodtest.Module(modinfo), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree is a small lib/modules/RELEASE, opened again from its saved index.
func tree(t *testing.T) *Index {
	t.Helper()
	dir := t.TempDir()
	module(t, dir, "kernel/net/netfilter/ipvs/ip_vs.ko", "license=GPL\x00alias=net-pf-16-proto-16-family-IPVS\x00depends=nf_conntrack,libcrc32c\x00")
	module(t, dir, "kernel/net/netfilter/ipvs/ip_vs_rr.ko", "depends=ip_vs\x00")
	module(t, dir, "kernel/net/netfilter/nf_conntrack.ko", "depends=nf-defrag,libcrc32c\x00\x00alias=nf_conntrack-2\x00")
	module(t, dir, "kernel/net/ipv4/nf-defrag.ko", "depends=\x00")
	module(t, dir, "kernel/lib/libcrc32c.ko", "softdep=pre: crc32c absent\x00depends=unix\x00")
	module(t, dir, "kernel/crypto/crc32c_generic.ko", "alias=crc32c\x00depends=\x00")
	module(t, dir, "kernel/crypto/crc32c-intel.ko", "alias=crc32c\x00alias=cpu:type:x86,ven*feature:*0094*\x00depends=\x00")
	if err := os.WriteFile(filepath.Join(dir, builtinFile), []byte("kernel/net/unix/unix.ko\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	scanned, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := scanned.Save(dir); err != nil {
		t.Fatal(err)
	}
	x, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestResolveOrdersByDependency(t *testing.T) {
	const (
		generic   = "kernel/crypto/crc32c_generic.ko"
		intel     = "kernel/crypto/crc32c-intel.ko"
		libcrc    = "kernel/lib/libcrc32c.ko"
		defrag    = "kernel/net/ipv4/nf-defrag.ko"
		conntrack = "kernel/net/netfilter/nf_conntrack.ko"
		ipvs      = "kernel/net/netfilter/ipvs/ip_vs.ko"
		rr        = "kernel/net/netfilter/ipvs/ip_vs_rr.ko"
	)
	x := tree(t)
	for name, want := range map[string][]string{
		"ip_vs_rr":                        {defrag, generic, intel, libcrc, conntrack, ipvs, rr},
		"ip-vs-rr":                        {defrag, generic, intel, libcrc, conntrack, ipvs, rr},
		"net-pf-16-proto-16-family-IPVS":  {defrag, generic, intel, libcrc, conntrack, ipvs},
		"nf_defrag":                       {defrag},
		"crc32c":                          {generic, intel},
		"cpu:type:x86,venAfeature:,0094,": {intel},
		"unix":                            nil,
	} {
		got, err := x.Resolve(name)
		if err != nil {
			t.Errorf("Resolve(%s): %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Resolve(%s): unexpected order (-want +got)\n%s", name, diff)
		}
	}
}

func TestResolveOfAnUnknownModule(t *testing.T) {
	if _, err := tree(t).Resolve("rtnl-link-nothing"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Resolve = %v, want ErrUnknown", err)
	}
}

func TestBelowListsOneDirectory(t *testing.T) {
	want := []string{"ip_vs", "ip_vs_rr"}
	if diff := cmp.Diff(want, tree(t).Below("kernel/net/netfilter/ipvs")); diff != "" {
		t.Errorf("unexpected names (-want +got)\n%s", diff)
	}
}

func TestSaveRefusesAnIncompleteTree(t *testing.T) {
	dir := t.TempDir()
	module(t, dir, "kernel/a.ko", "depends=missing\x00")
	if err := os.WriteFile(filepath.Join(dir, builtinFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	x, err := Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	const want = "module a depends on missing, which is not there"
	if err := x.Save(dir); err == nil || err.Error() != want {
		t.Errorf("Save = %v, want %s", err, want)
	}
}

func TestScanRefusesWhatIsNoModule(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{builtinFile: "", "a.ko": "not ELF"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Scan(dir); err == nil {
		t.Error("a module file that is not ELF was accepted")
	}
}
