package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// unmapProgram unmaps the pages of the program itself, of which each process uses
// a small part once it has started. The kernel maps what is used again from its
// cache, a few hundred faults. Only what nobody can write to is given back.
func unmapProgram() error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	var errs []error
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// 00400000-00c73000 r-xp 00000000 fe:00 1234    /usr/sbin/haldir
		var from, to uintptr
		var access string
		line := lines.Text()
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access); n != 3 || strings.Contains(access, "w") || !strings.HasSuffix(line, program) {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, os.NewSyscallError("madvise", errno))
		}
	}
	return errors.Join(errs...)
}
