package ipvsnl

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// verdict translates what the kernel answered to an operation. The same number
// means different things for different commands; gone says that the family
// vanished meanwhile.
func verdict(op *ipvsctl.Op, err error, gone bool) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.EEXIST:
		return answer(ipvsctl.ErrExist, err, errno, "")
	case unix.ESRCH:
		return answer(ipvsctl.ErrNoService, err, errno, "")
	case unix.ENOENT:
		switch {
		case gone:
			return answer(ipvsctl.ErrUnavailable, err, errno, "the module was unloaded meanwhile")
		case op.Kind.OnDest():
			return answer(ipvsctl.ErrNoDest, err, errno, "")
		}
		return answer(ipvsctl.ErrNoModule, err, errno, missingModule(&op.Service))
	case unix.ERANGE:
		return answer(ipvsctl.ErrRange, err, errno, fmt.Sprintf("weight %d, thresholds %d and %d", op.Dest.Weight, op.Dest.Upper, op.Dest.Lower))
	case unix.EINVAL:
		return answer(ipvsctl.ErrInvalid, err, errno, hint(op))
	case unix.EAFNOSUPPORT:
		return answer(ipvsctl.ErrInvalid, err, errno, "this kernel does not balance this address family")
	}
	return general(err, errno)
}

// general translates what any command may be answered.
func general(err error, errno unix.Errno) error {
	switch errno {
	case unix.ENOPROTOOPT:
		return answer(ipvsctl.ErrUnavailable, err, errno, "the module is being unloaded")
	case unix.EPERM:
		return answer(unix.EPERM, err, errno, "CAP_NET_ADMIN is needed, even to read")
	}
	return err
}

// explain translates the failure of a request for information.
func explain(doing string, err error) error {
	var errno unix.Errno
	if _, ok := isVerdict(err); ok && errors.As(err, &errno) {
		if errno == unix.ENOENT {
			err = answer(ipvsctl.ErrUnavailable, err, errno, "the module was unloaded meanwhile")
		} else {
			err = general(err, errno)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// kernelError is the kernel's answer with its meaning. Its text is the meaning,
// since that of the number misleads: a missing scheduler is no "file".
type kernelError struct {
	meaning error
	cause   error
	text    string
}

func (e *kernelError) Error() string   { return e.text }
func (e *kernelError) Unwrap() []error { return []error{e.meaning, e.cause} }

func answer(meaning, cause error, errno unix.Errno, detail string) error {
	text := fmt.Sprintf("%v (%s)", meaning, unix.ErrnoName(errno))
	if detail != "" {
		text += ": " + detail
	}
	var op *netlink.OpError
	if errors.As(cause, &op) && op.Message != "" {
		text += ": the kernel says " + op.Message
	}
	return &kernelError{meaning: meaning, cause: cause, text: text}
}

func missingModule(s *ipvsctl.Service) string {
	text := fmt.Sprintf("scheduler %q (module ip_vs_%s)", s.Scheduler, s.Scheduler)
	if s.Engine != "" {
		text += fmt.Sprintf(" or persistence engine %q (module ip_vs_pe_%s)", s.Engine, s.Engine)
	}
	return text
}

// hint says which of the many reasons for EINVAL applies, where that shows.
func hint(op *ipvsctl.Op) string {
	if !op.Kind.OnDest() {
		return ""
	}
	service, dest := op.Service.Key.AddressFamily(), ipvsctl.FamilyOf(op.Dest.Key.Address)
	switch {
	case service != dest:
		return fmt.Sprintf("an %v destination in an %v service works by tunnel only, and not while the sync daemon runs", dest, service)
	case op.Dest.Tunnel.Type == ipvsctl.GUE && op.Dest.Tunnel.Port == 0:
		return "tunnel type gue needs a port"
	}
	return fmt.Sprintf("address %v must be unicast", op.Dest.Key.Address)
}
