package main

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

var errPrivilege = errors.New("not enough privilege")

// privileged reports whether this process may change addresses and open raw
// sockets.
func privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("reading the capabilities of this process: %w", err)
	}
	var missing []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}} {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s missing; run haldir as root or with these capabilities", errPrivilege, strings.Join(missing, " and "))
	}
	return nil
}
