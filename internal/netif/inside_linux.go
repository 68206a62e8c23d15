package netif

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ip6tunnel is the kernel's struct ip6_tnl_parm.
type ip6tunnel struct {
	name          [unix.IFNAMSIZ]byte
	link          int32
	proto         uint8
	encapLimit    uint8
	hopLimit      uint8
	flowInfo      uint32
	flags         uint32
	local, remote [16]byte
}

// ifreq is the kernel's struct ifreq with a pointer in it.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

const (
	getTunnel    = unix.SIOCDEVPRIVATE     // SIOCGETTUNNEL
	changeTunnel = unix.SIOCDEVPRIVATE + 3 // SIOCCHGTUNNEL
)

// setInside sets which protocol a tunnel over IPv6 takes out. Of the module's own
// device that is all that can be changed, and by netlink not before Linux 6.13.
func setInside(name string, proto uint8) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var parameters ip6tunnel
	request := ifreq{data: unsafe.Pointer(&parameters)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	err = control(fd, getTunnel, &request)
	if err == nil {
		parameters.proto = proto
		err = control(fd, changeTunnel, &request)
	}
	return errors.Join(err, unix.Close(fd))
}

func control(fd int, number uintptr, request *ifreq) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(unsafe.Pointer(request))); errno != 0 {
		return errno
	}
	return nil
}
