package pid1

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/lab/guest/internal/kmod"
	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// lastWords bounds how long a finished guest waits for the host to end it.
const lastWords = 10 * time.Second

// transport is what the port to the host needs.
var transport = [...]string{"virtio_pci", "virtio_console"}

// Run is the init process. It ends by powering the machine off. What goes wrong
// before the host can be told is written to the console, which is the host's
// kernel log.
func Run() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "guest init:", err)
	}
	unix.Sync()
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Fprintln(os.Stderr, "guest init: powering off:", err)
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	plan, err := readPlan()
	if err != nil {
		return err
	}
	dir := filepath.Join("/lib/modules", release)
	modules, err := kmod.Open(dir)
	if err != nil {
		return err
	}
	load := func(names ...string) error {
		for _, name := range names {
			if err := modules.Load(dir, name, ""); err != nil {
				return err
			}
		}
		return nil
	}
	if err := load(transport[:]...); err != nil {
		return err
	}
	file, err := openPort()
	if err != nil {
		return err
	}
	if err := load(plan.Modules...); err != nil {
		return err
	}
	if err := configure(); err != nil {
		return err
	}
	host := &port{w: file}
	if err := host.json(wire.KindReady, wire.Ready{Kernel: release, Clock: clock()}); err != nil {
		return err
	}
	if err := runSteps(host, plan.Steps, release); err != nil {
		return err
	}
	if err := host.frame(wire.KindDone, nil); err != nil {
		return err
	}
	waitForTheEnd(file)
	return nil
}

// waitForTheEnd gives the host time to read what is still on its way.
func waitForTheEnd(file *os.File) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = file.Read(make([]byte, 1))
	}()
	select {
	case <-ended:
	case <-time.After(lastWords):
	}
}

func readPlan() (wire.Plan, error) {
	var plan wire.Plan
	data, err := os.ReadFile(wire.PlanPath)
	if err == nil {
		err = json.Unmarshal(data, &plan)
	}
	if err != nil {
		return plan, fmt.Errorf("reading the plan: %w", err)
	}
	return plan, nil
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("asking for the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// clock reads the monotonic clock, which began with the kernel.
func clock() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}

// configure sets up what a program may expect of a machine that has booted.
func configure() error {
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	limit := unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("setting the limit of open files: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("setting lo up: %w", err)
	}
	return nil
}
