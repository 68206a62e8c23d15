package pid1

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/lab/guest/internal/wire"
)

// output is where a program's output goes and from where it is copied: two
// pipes, or one pseudo-terminal.
type output struct {
	stdin, stdout, stderr *os.File // the program's
	fromOut, fromErr      *os.File // ours; fromErr is nil with a terminal
}

func newOutput(terminal *wire.Terminal) (*output, error) {
	o := &output{}
	var err error
	if o.stdin, err = os.Open(os.DevNull); err == nil {
		if terminal != nil {
			err = o.openTerminal(terminal)
		} else {
			err = o.openPipes()
		}
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *output) openPipes() error {
	var err1, err2 error
	o.fromOut, o.stdout, err1 = os.Pipe()
	o.fromErr, o.stderr, err2 = os.Pipe()
	return errors.Join(err1, err2)
}

// openTerminal makes a pseudo-terminal that passes output on as it is: to
// translate line ends is left to the host's own terminal.
func (o *output) openTerminal(size *wire.Terminal) error {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	o.fromOut = master
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		o.stdout, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return fmt.Errorf("opening a pseudo-terminal: %w", err)
	}
	o.stderr = o.stdout
	slave := int(o.stdout.Fd())
	mode, err := unix.IoctlGetTermios(slave, unix.TCGETS)
	if err == nil {
		mode.Oflag &^= unix.OPOST
		err = unix.IoctlSetTermios(slave, unix.TCSETS, mode)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(slave, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns})
	}
	if err != nil {
		return fmt.Errorf("setting up a pseudo-terminal: %w", err)
	}
	return nil
}

// attributes makes the program the leader of a session, on the terminal if
// there is one, so that its group can be signalled.
func (o *output) attributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if o.fromErr == nil {
		attributes.Setctty, attributes.Ctty = true, 1
	}
	return attributes
}

// copyTo copies until every writer has gone. The program must have been started.
func (o *output) copyTo(host *port) *sync.WaitGroup {
	var copied sync.WaitGroup
	o.closeTheirs()
	copied.Go(func() { host.copyFrom(wire.KindStdout, o.fromOut) })
	if o.fromErr != nil {
		copied.Go(func() { host.copyFrom(wire.KindStderr, o.fromErr) })
	}
	return &copied
}

func (o *output) closeTheirs() {
	for _, f := range []**os.File{&o.stdin, &o.stdout, &o.stderr} {
		_ = (*f).Close() // a nil or closed file says so, which is of no interest
		*f = nil
	}
}

func (o *output) close() {
	o.closeTheirs()
	_ = o.fromOut.Close()
	_ = o.fromErr.Close()
}
