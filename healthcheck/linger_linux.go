package healthcheck

import "golang.org/x/sys/unix"

// resetOnClose arranges, before the connection is begun, that closing the socket
// resets it, at whatever stage it is.
func resetOnClose(socket uintptr) error {
	return unix.SetsockoptLinger(int(socket), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
