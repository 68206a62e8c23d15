package guest_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/haldir-lb/haldir/lab/guest"
)

// programVariable makes this test binary one of the programs below, which is
// what it does in the guest.
const programVariable = "GUEST_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if status, ok := guest.Dispatch(); ok {
		os.Exit(status)
	}
	if name := os.Getenv(programVariable); name != "" {
		os.Exit(programs[name]())
	}
	goleak.VerifyTestMain(m)
}

var programs = map[string]func() int{
	"true":      func() int { return 0 },
	"three":     func() int { return 3 },
	"ipvs":      func() int { return show("/proc/net/ip_vs") },
	"file":      func() int { return show("testdata/sub/file") },
	"streams":   streams,
	"much":      much,
	"suicide":   suicide,
	"forever":   forever,
	"orphan":    orphan,
	"processes": processes,
	"variables": variables,
	"terminal":  terminal,
	"links":     links,
	"modprobe":  modprobe,
	"panic":     panicKernel,
}

func show(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Stdout.Write(text)
	return 0
}

func streams() int {
	fmt.Print("\x1b[1;32mgreen\x1b[0m\r\nbar 10%\rbar 99%\r\x00\xff")
	fmt.Fprint(os.Stderr, "warning\n")
	return 0
}

const muchLines = 100_000

func much() int {
	var b bytes.Buffer
	for i := range muchLines {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	os.Stdout.Write(b.Bytes())
	return 0
}

func suicide() int {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func forever() int {
	for {
		_ = syscall.Pause()
	}
}

// orphan leaves a process behind that has left its session and its terminal, but
// holds stdout, and one more whose parent has ended before.
func orphan() int {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{programVariable + "=forever"}
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 1
	}
	child := exec.Command("/proc/self/exe")
	child.Env = []string{programVariable + "=true"}
	if child.Start() != nil {
		return 1
	}
	fmt.Println("left", cmd.Process.Pid > 1)
	return 0
}

// processes shows all processes with their states, but those of the kernel.
func processes() int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue
		}
		name, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		const kthread, parent, state = "2", 1, 0
		if pid, _, _ := strings.Cut(name, " "); pid != kthread && fields[parent] != kthread {
			s := fields[state]
			if s != "Z" {
				s = "alive"
			}
			fmt.Println(fields[parent], s)
		}
	}
	return 0
}

func variables() int {
	release, inside := guest.Inside()
	fmt.Println(os.Getenv("COMMON"), os.Getenv("NO_COLOR"), os.Getenv("HOME"), inside && strings.Contains(release, "cloud"), guest.Needed(context.Background()))
	return 0
}

func terminal() int {
	columns, rows, err := term.GetSize(1)
	fmt.Print(term.IsTerminal(2), columns, rows, err, "\nnext\r\n\x1b[31m")
	return 0
}

// links makes what only modules can make, by asking for it alone.
func links() int {
	for _, link := range []netlink.Link{
		&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Name: "d0"}},
		&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "v0"}, PeerName: "v1"},
		&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "b0"}},
		&netlink.Iptun{LinkAttrs: netlink.LinkAttrs{Name: "t0"}, Local: []byte{127, 0, 0, 1}, Remote: []byte{127, 0, 0, 2}},
	} {
		if err := netlink.LinkAdd(link); err != nil {
			fmt.Println("adding", link.Attrs().Name, err)
			return 1
		}
	}
	v0, err := netlink.LinkByName("v0")
	if err == nil {
		err = netlink.QdiscAdd(netlink.NewNetem(netlink.QdiscAttrs{LinkIndex: v0.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}, netlink.NetemQdiscAttrs{Latency: 1000}))
	}
	fmt.Println("added", err)
	lo, err := netlink.LinkByName("lo")
	fmt.Println("lo is up", err == nil && lo.Attrs().RawFlags&unix.IFF_UP != 0)
	return 0
}

func modprobe() int {
	out, err := exec.Command("/sbin/modprobe", "-a", "sch_netem", "nf_tables", "nft_chain_nat").CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
	out, err = exec.Command("/sbin/modprobe", "no_such_module").CombinedOutput()
	fmt.Printf("%s%v\n", out, err)
	return 0
}

func panicKernel() int {
	if err := os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {}
}
