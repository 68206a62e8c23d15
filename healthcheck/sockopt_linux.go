package healthcheck

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// resetOnClose arranges, before the connection is begun, that closing the socket
// resets it, at whatever stage it is.
func resetOnClose(socket uintptr) error {
	return unix.SetsockoptLinger(int(socket), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// markSocket has every packet of the socket carry mark. The port is chosen when
// the socket connects, though its address is bound before, so that one port can
// serve many targets.
func markSocket(socket uintptr, mark uint32) error {
	err := errors.Join(
		unix.SetsockoptInt(int(socket), unix.SOL_SOCKET, unix.SO_MARK, int(mark)),
		unix.SetsockoptInt(int(socket), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
	)
	if err != nil {
		return fmt.Errorf("%w: marking its packets: %w", errCannot, err)
	}
	return nil
}
