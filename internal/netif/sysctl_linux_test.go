package netif

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// sysctlTree reads all sysctls of both families' interfaces, and ip_forward.
func sysctlTree(t *testing.T) map[string]string {
	t.Helper()
	tree := map[string]string{}
	for _, root := range []string{"net/ipv4/conf", "net/ipv6/conf", "net/ipv4/ip_forward"} {
		must(t, filepath.WalkDir(filepath.Join(sysctlRoot, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(sysctlRoot, path)
			if err != nil {
				return err
			}
			if value, err := ReadSysctl(name); err == nil { // stable_secret cannot be read
				tree[name] = value
			}
			return nil
		}))
	}
	return tree
}

// Everything is compared: also what the kernel changes along with forwarding.
func TestKernelSysctlsComeBackExactly(t *testing.T) {
	newVeth(t, "eth0", "eth0p")
	must(t, WriteSysctl("net/ipv4/conf/eth0/arp_ignore", "8"))
	must(t, WriteSysctl("net/ipv4/conf/eth0p/forwarding", "1"))
	must(t, WriteSysctl("net/ipv4/conf/all/accept_redirects", "0"))
	before := sysctlTree(t)
	record := filepath.Join(t.TempDir(), "sysctl.json")
	want := []Sysctl{
		{"net/ipv4/ip_forward", "1"},
		{"net/ipv6/conf/all/forwarding", "1"},
		{"net/ipv4/conf/all/arp_ignore", "1"},
		{"net/ipv4/conf/eth0/arp_ignore", "1"},
		{"net/ipv4/conf/eth0/arp_announce", "2"},
	}
	for range 2 {
		_, err := ApplySysctls(record, want)
		must(t, err)
		for _, s := range want {
			if value, err := ReadSysctl(s.Path); err != nil || value != s.Value {
				t.Errorf("%s reads %q, %v", s, value, err)
			}
		}
	}
	if changes, err := ApplySysctls(record, want); err != nil || len(changes) > 0 {
		t.Errorf("applied again: changes %v, %v, want none", changes, err)
	}
	_, err := RestoreSysctls(record)
	must(t, err)
	if diff := cmp.Diff(before, sysctlTree(t)); diff != "" {
		t.Errorf("sysctls (-before +after):\n%s", diff)
	}
	if left, err := filepath.Glob(filepath.Dir(record) + "/*"); err != nil || len(left) > 0 {
		t.Errorf("files left: %v, %v", left, err)
	}
	if again, err := RestoreSysctls(record); err != nil || len(again.Restored) > 0 {
		t.Errorf("second restore: %+v, %v, want nothing to do", again, err)
	}
}

// Whoever listens to Router Advertisements still does when this host forwards, and
// nobody else begins to.
func TestKernelForwardingIPv6KeepsRouterAdvertisements(t *testing.T) {
	newVeth(t, "eth0", "eth0p")
	newVeth(t, "eth1", "eth1p")
	accepts := func(ifname string) string {
		value, err := ReadSysctl("net/ipv6/conf/" + ifname + "/accept_ra")
		must(t, err)
		return value
	}
	must(t, WriteSysctl("net/ipv6/conf/eth0p/accept_ra", "0"))
	must(t, WriteSysctl("net/ipv6/conf/eth1/forwarding", "1")) // a router already
	must(t, WriteSysctl("net/ipv6/conf/eth1p/accept_ra", "2"))
	before := sysctlTree(t)
	record := filepath.Join(t.TempDir(), "sysctl.json")
	for range 2 {
		_, err := ApplySysctls(record, []Sysctl{{Forwarding6, "1"}})
		must(t, err)
		got := map[string]string{}
		for _, name := range []string{"default", "eth0", "eth0p", "eth1", "eth1p"} {
			got[name] = accepts(name)
		}
		want := map[string]string{"default": "2", "eth0": "2", "eth0p": "0", "eth1": "1", "eth1p": "2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("accept_ra (-want +got):\n%s", diff)
		}
	}
	_, err := ApplySysctls(record, nil) // no longer wanted
	must(t, err)
	if diff := cmp.Diff(before, sysctlTree(t)); diff != "" {
		t.Errorf("sysctls (-before +after):\n%s", diff)
	}
}

func TestKernelSysctlOfAVanishedInterfaceIsForgotten(t *testing.T) {
	link, _ := newVeth(t, "eth0", "eth0p")
	record := filepath.Join(t.TempDir(), "sysctl.json")
	_, err := ApplySysctls(record, []Sysctl{{"net/ipv4/conf/eth0/arp_ignore", "1"}})
	must(t, err)
	deleteLink(t, link)
	result, err := RestoreSysctls(record)
	if want := (SysctlRestore{Gone: []string{"net/ipv4/conf/eth0/arp_ignore"}}); err != nil || cmp.Diff(want, result) != "" {
		t.Errorf("restore %+v, %v, want %+v", result, err, want)
	}
}

func TestSysctlErrorsSayWhatIsWrong(t *testing.T) {
	testenv.Root(t)
	tests := []struct {
		path, value string
		message     string
		is          error
	}{
		{"net/ipv4/conf/eth7/arp_ignore", "1", "writing sysctl net/ipv4/conf/eth7/arp_ignore: this kernel or interface does not have it", fs.ErrNotExist},
		{"net/ipv4/conf/lo/arp_ignore", "many", `writing "many" to sysctl net/ipv4/conf/lo/arp_ignore: invalid argument`, syscall.EINVAL},
		{"net/../../../etc/passwd", "1", "not a path below /proc/sys", nil},
		{"/net/ipv4/ip_forward", "1", "not a path below /proc/sys", nil},
		{"", "1", "not a path below /proc/sys", nil},
	}
	for _, test := range tests {
		err := WriteSysctl(test.path, test.value)
		if err == nil || !strings.Contains(err.Error(), test.message) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("writing %q to %q: %v, want %q", test.value, test.path, err, test.message)
		}
	}
}

func TestReadOnlyProcSysIsNamedAndNothingElseTouched(t *testing.T) {
	testenv.Root(t)
	record := filepath.Join(t.TempDir(), "sysctl.json")
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		err := unix.Unshare(unix.CLONE_NEWNS)
		for _, mount := range []struct {
			source, target string
			flags          uintptr
		}{
			{"", "/", unix.MS_REC | unix.MS_PRIVATE},
			{sysctlRoot, sysctlRoot, unix.MS_BIND},
			{"", sysctlRoot, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
		} {
			if err == nil {
				err = unix.Mount(mount.source, mount.target, "", mount.flags, "")
			}
		}
		if err == nil {
			_, err = ApplySysctls(record, []Sysctl{{"net/ipv4/conf/lo/arp_ignore", "1"}})
		}
		result <- err
	}()
	err := <-result
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "/proc/sys is mounted read-only") {
		t.Errorf("error %v, want one that says read-only", err)
	}
	if value, err := ReadSysctl("net/ipv4/conf/lo/arp_ignore"); err != nil || value != "0" {
		t.Errorf("arp_ignore = %q, %v, want 0", value, err)
	}
	if _, err := RestoreSysctls(record); err != nil {
		t.Errorf("restoring afterwards: %v", err)
	}
}

func TestRecordInAMissingDirectory(t *testing.T) {
	testenv.Root(t)
	record := filepath.Join(t.TempDir(), "gone", "sysctl.json")
	if _, err := ApplySysctls(record, []Sysctl{{"net/ipv4/conf/lo/arp_ignore", "1"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("apply: %v, want that the directory does not exist", err)
	}
	if value, err := ReadSysctl("net/ipv4/conf/lo/arp_ignore"); err != nil || value != "0" {
		t.Errorf("arp_ignore = %q, %v, want 0: nothing is changed without a record", value, err)
	}
	if _, err := RestoreSysctls(record); err != nil {
		t.Errorf("restore: %v, want nothing to do", err)
	}
}
