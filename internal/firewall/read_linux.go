package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/netif"
)

// Read reads every rule of this thread's network namespace.
func Read() (*Ruleset, error) {
	r := &Ruleset{}
	// Asking for the rules of a module that is not there would load it.
	if state, err := netif.Module("nf_tables"); err != nil || state != netif.ModuleAbsent && state != netif.ModuleAvailable {
		if err := r.readNFT(); err != nil {
			return nil, fmt.Errorf("reading nftables: %w", err)
		}
	}
	for _, family := range []struct {
		list   string
		domain int
		level  uintptr
		layout layout
	}{
		{"/proc/thread-self/net/ip_tables_names", unix.AF_INET, unix.SOL_IP, layout4},
		{"/proc/thread-self/net/ip6_tables_names", unix.AF_INET6, unix.SOL_IPV6, layout6},
	} {
		names, err := os.ReadFile(family.list)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading iptables: %w", err)
		}
		for _, name := range strings.Fields(string(names)) {
			if err := r.readLegacy(family.domain, family.level, family.layout, name); err != nil {
				return nil, fmt.Errorf("reading table %s of iptables: %w", name, err)
			}
		}
	}
	return r, nil
}

const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES

	tableNameLen = 32
	infoLen      = 84 // struct ipt_getinfo
	entriesHead  = 40 // of struct ipt_get_entries
	tableAttempt = 5  // the size may change between the two questions
)

func (r *Ruleset) readLegacy(domain int, level uintptr, l layout, name string) error {
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for range tableAttempt {
		info := make([]byte, infoLen)
		copy(info, name)
		if err := option(fd, level, getInfo, info); err != nil {
			return err
		}
		t := legacyTable{name: name, valid: binary.NativeEndian.Uint32(info[tableNameLen:])}
		for i := range legacyHooks {
			t.entry[i] = binary.NativeEndian.Uint32(info[tableNameLen+4+4*i:])
			t.policy[i] = binary.NativeEndian.Uint32(info[tableNameLen+24+4*i:])
		}
		size := binary.NativeEndian.Uint32(info[80:])
		data := make([]byte, entriesHead+int(size))
		copy(data, name)
		binary.NativeEndian.PutUint32(data[tableNameLen:], size)
		err := option(fd, level, getEntries, data)
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return err
		}
		t.entries = data[entriesHead:]
		chains, tracking, err := parseLegacy(l, t)
		if err != nil {
			return err
		}
		r.chains, r.tracking = append(r.chains, chains...), r.tracking || tracking
		return nil
	}
	return errors.New("it changes all the time")
}

// option asks for a socket option of any length.
func option(fd int, level, name uintptr, value []byte) error {
	length := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), level, name,
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
