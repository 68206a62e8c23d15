package control

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func peerOf(conn net.Conn) (credentials, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return credentials{}, fmt.Errorf("a %s connection has no credentials", conn.LocalAddr().Network())
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return credentials{}, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return credentials{}, fmt.Errorf("reading SO_PEERCRED: %w", err)
	}
	return credentials{pid: int(peer.Pid), uid: peer.Uid}, nil
}

// loginOf returns the user who logged in to what a process belongs to; a daemon
// has none.
func loginOf(pid int) (uint32, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return 0, false
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	const unset = 1<<32 - 1
	return uint32(uid), err == nil && uid != unset
}
