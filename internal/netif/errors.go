package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// ErrNoInterface is wrapped by errors about an interface that does not exist.
var ErrNoInterface = errors.New("no such interface")

// UnsupportedError says that the kernel lacks a feature. It matches
// errors.ErrUnsupported.
type UnsupportedError struct {
	Feature string // what is missing
	Remedy  string // what an operator can do about it
	Err     error  // what the kernel answered; may be nil
}

func (e *UnsupportedError) Error() string {
	s := fmt.Sprintf("this kernel does not support %s (remedy: %s)", e.Feature, e.Remedy)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns what the kernel answered.
func (e *UnsupportedError) Unwrap() error { return e.Err }

// Is makes the error match errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// PrivilegeError says that this process may not do what it tried. It matches
// fs.ErrPermission.
type PrivilegeError struct {
	Err error // what the kernel answered
}

func (e *PrivilegeError) Error() string {
	return e.Err.Error() + " (needs root or the capability CAP_NET_ADMIN)"
}

// Unwrap returns what the kernel answered.
func (e *PrivilegeError) Unwrap() error { return e.Err }

// Is makes the error match fs.ErrPermission whatever the kernel answered.
func (e *PrivilegeError) Is(target error) bool { return target == fs.ErrPermission }

// explain gives netlink's answer to a lack of privilege its type. EACCES has
// other meanings there, such as IPv6 being disabled on the interface.
func explain(err error) error {
	var known *PrivilegeError
	if errors.Is(err, syscall.EPERM) && !errors.As(err, &known) {
		return &PrivilegeError{Err: err}
	}
	return err
}
