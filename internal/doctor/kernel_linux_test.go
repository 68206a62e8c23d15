package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/netif"
)

// modules lets the host's kernel have these modules on disk and no others, as if the
// package with the rest were not installed.
func (w *ward) modules(names ...string) {
	w.kernel = func() error {
		release, err := netif.ReadSysctl("kernel/osrelease")
		if err != nil {
			return err
		}
		// The thread, which the test throws away, gets mounts of its own.
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return err
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		empty := filepath.Join(w.t.TempDir(), "modules")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			return err
		}
		if _, err := os.Stat("/proc/modules"); err == nil {
			if err := unix.Mount(empty, "/proc/modules", "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
		for _, dir := range []string{"/sys/module", "/lib"} {
			if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
				return err
			}
		}
		dir := filepath.Join("/lib/modules", release)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		list := ""
		for _, name := range names {
			list += "kernel/net/" + name + ".ko:\n"
		}
		for name, text := range map[string]string{"modules.builtin": "", "modules.dep": list} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}

// kernelFaults are those of what the kernel has, and of IPVS.
var kernelFaults = []fault{
	{"all modules that are needed", director, "dr", func(w *ward) { w.modules("ip_vs", "ip_vs_wlc") }, nil, "", ""},
	{
		"no ip_vs", director, "dr", func(w *ward) { w.modules("ip_vs_wlc") },
		[]string{"module-missing"}, "this kernel has no module ip_vs, and a director with services needs it", "ip_vs is neither loaded, built in nor among the modules of kernel",
	},
	{
		"no scheduler", director, "dr", func(w *ward) { w.modules("ip_vs", "ip_vs_rr") },
		[]string{"scheduler-missing"}, "this kernel has no module ip_vs_wlc, and scheduler wlc of service web needs it", "ip_vs_wlc is neither",
	},
	{
		"no IP in IP", realServer, "tun", func(w *ward) { w.mss(1440); w.modules() },
		[]string{"module-missing", "tunnel-missing"}, "this kernel has no module ipip, and TUN service web needs it", "ipip is neither",
	},
	{
		"no GRE", realServer, "gre", func(w *ward) { w.mss(1400); w.modules("ipip") },
		[]string{"module-missing", "tunnel-missing"}, "this kernel has no module ip_gre, and TUN service web needs it", "ip_gre is neither",
	},
}

func TestFaultsOfTheKernelAreFound(t *testing.T) {
	native(t)
	playAll(t, kernelFaults)
}
