package cpio_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haldir-lb/haldir/lab/guest/internal/cpio"
)

func archive(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := cpio.NewWriter(&out)
	for _, err := range []error{
		w.Dir("/etc", 0o755),
		w.File("/etc/odd", 0o640, 5, strings.NewReader("hello")),
		w.Symlink("/link", "etc/odd"),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestWriterWritesTheseBytes(t *testing.T) {
	field := func(values ...string) string { return "070701" + strings.Join(values, "") }
	const zero = "00000000"
	want := field("00000001", "000041ed", zero, zero, "00000002", zero, "00000000", zero, zero, zero, zero, "00000004", zero) + "etc\x00\x00\x00" +
		field("00000002", "000081a0", zero, zero, "00000001", zero, "00000005", zero, zero, zero, zero, "00000008", zero) + "etc/odd\x00\x00\x00" + "hello\x00\x00\x00" +
		field("00000003", "0000a1ff", zero, zero, "00000001", zero, "00000007", zero, zero, zero, zero, "00000005", zero) + "link\x00\x00" + "etc/odd\x00" +
		field(zero, zero, zero, zero, "00000001", zero, zero, zero, zero, zero, zero, "0000000b", zero) + "TRAILER!!!\x00" + "\x00\x00\x00"
	if diff := cmp.Diff(want, string(archive(t))); diff != "" {
		t.Errorf("unexpected archive (-want +got)\n%s", diff)
	}
}

func TestCpioProgramAgrees(t *testing.T) {
	argv := []string{"cpio", "-t"}
	if _, err := exec.LookPath("cpio"); err != nil {
		if _, err := exec.LookPath("busybox"); err != nil {
			t.Skip("neither cpio nor busybox is installed")
		}
		argv = []string{"busybox", "cpio", "-t"}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(archive(t))
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("etc\netc/odd\nlink\n", string(got)); diff != "" {
		t.Errorf("unexpected listing (-want +got)\n%s", diff)
	}
}

func TestFileRefusesAShortReaderAndAHugeSize(t *testing.T) {
	if err := cpio.NewWriter(io.Discard).File("a", 0o644, 6, strings.NewReader("short")); err == nil {
		t.Error("a reader with 5 of 6 bytes was accepted")
	}
	if err := cpio.NewWriter(io.Discard).File("a", 0o644, 1<<32, strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "4294967295") {
		t.Errorf("a file of 4 GiB = %v, want the limit named", err)
	}
}
