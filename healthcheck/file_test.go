package healthcheck

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFile(t *testing.T) {
	folder := t.TempDir()
	address := netip.MustParseAddrPort("192.0.2.11:80")
	path := filepath.Join(folder, "drain-{address}-{port}")
	want(t, probe(t, File{Path: path}, address, time.Second), Pass, ReasonAbsent, "drain-192.0.2.11-80")
	want(t, probe(t, File{Path: path, UpWhen: "present"}, address, time.Second), Fail, ReasonAbsent, "drain-192.0.2.11-80")
	if err := os.WriteFile(filepath.Join(folder, "drain-192.0.2.11-80"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, probe(t, File{Path: path}, address, time.Second), Fail, ReasonPresent, "drain-192.0.2.11-80")
	want(t, probe(t, File{Path: path, UpWhen: "present"}, address, time.Second), Pass, ReasonPresent, "")
	want(t, probe(t, File{Path: "/dev/null/x"}, address, time.Second), Inconclusive, ReasonCannot, "not a directory")
	for _, spec := range []File{{}, {Path: "a"}, {Path: "/a\x00b"}, {Path: "/a", UpWhen: "there"}} {
		if _, err := spec.checker(); err == nil {
			t.Errorf("%+v is accepted", spec)
		}
	}
}
