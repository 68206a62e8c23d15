package guest

import (
	"os/exec"
	"syscall"
)

// isolate keeps the terminal's signals away from QEMU, which is ended by its
// handle, and makes it end with this process.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
