package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/haldir-lb/haldir/lab/guest/internal/tsc"
	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// logLines is how much of the kernel's log an error quotes.
const logLines = 40

// quickBoot is what the kernel need not do here. The guest runs trusted programs
// on an emulated processor, so mitigations and self-tests only cost time.
const quickBoot = "mitigations=off nokaslr random.trust_cpu=on cryptomgr.notests audit=0 no_timer_check tsc=reliable selinux=0 apparmor=0"

// The descriptors that QEMU gets besides the standard ones.
const (
	consoleFD = "/dev/fd/3"
	initrdFD  = "/dev/fd/4"
)

// qemu returns QEMU's command line. The frames are on QEMU's stdin and stdout.
func (o Options) qemu(kernel Kernel) []string {
	verbosity := "quiet loglevel=5"
	if o.KernelLog != nil {
		verbosity = "ignore_loglevel"
	}
	return []string{
		qemuProgram, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-smp", strconv.Itoa(o.CPUs), "-m", strconv.Itoa(o.Memory),
		"-chardev", "stdio,id=frames,signal=off",
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=frames,name=" + wire.PortName,
		"-chardev", "file,id=console,path=" + consoleFD, "-serial", "chardev:console",
		"-kernel", kernel.Image, "-initrd", initrdFD,
		// With a panic the machine resets, and with -no-reboot QEMU ends. The root
		// is a ramfs because a tmpfs would hold half of the memory only.
		"-append", strings.Join([]string{"console=ttyS0 panic=-1 rootfstype=ramfs", verbosity, quickBoot, clock()}, " "),
	}
}

// clock tells the guest how fast its time stamp counter runs, which it could not
// find out reliably.
func clock() string {
	khz, ok := tsc.KHz()
	if !ok {
		return ""
	}
	return fmt.Sprintf("tsc_early_khz=%d", khz)
}

// machine is one run of QEMU.
type machine struct {
	argv      []string
	initrd    *os.File
	log, said *tail     // the ends of the kernel's log and of QEMU's own messages
	kernelLog io.Writer // gets the whole log too, if not nil
}

// run starts QEMU and ends it when ctx is done or converse returns; its error
// is that of converse. Nothing of it is left when run returns.
func (m *machine) run(ctx context.Context, converse func(frames io.Reader) error) error {
	console, theirConsole, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting QEMU: %w", err)
	}
	defer console.Close()
	cmd := exec.CommandContext(ctx, m.argv[0], m.argv[1:]...)
	cmd.Stderr = m.said
	cmd.ExtraFiles = []*os.File{theirConsole, m.initrd}
	isolate(cmd)
	// QEMU's life is tied to the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	frames, err := startWithPipes(cmd)
	theirConsole.Close()
	if err != nil {
		return fmt.Errorf("starting QEMU: %w", err)
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		var log io.Writer = m.log
		if m.kernelLog != nil {
			log = io.MultiWriter(m.log, m.kernelLog)
		}
		_, _ = io.Copy(log, console)
	}()
	err = converse(frames)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // killed, or ended by itself: converse knows which
	<-logged
	return err
}

// startWithPipes starts cmd with a pipe at stdin, which stays open and unused,
// and one at stdout.
func startWithPipes(cmd *exec.Cmd) (io.Reader, error) {
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return out, cmd.Start()
}

// panicMessage returns what the kernel said when it panicked, empty if it did
// not.
func (m *machine) panicMessage() string {
	const mark = "Kernel panic - not syncing: "
	for _, line := range m.log.lines(1 << 20) {
		if _, message, ok := strings.Cut(line, mark); ok {
			return message
		}
	}
	return ""
}
