package netif

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// sysctlRoot is where the kernel shows its sysctls. Those below net belong to
// the network namespace of the thread that opens them.
const sysctlRoot = "/proc/sys"

// Sysctl is a kernel parameter and a value for it.
type Sysctl struct {
	Path  string `json:"path"` // below /proc/sys, with slashes: "net/ipv4/conf/all/arp_ignore"
	Value string `json:"value"`
}

// String returns "net/ipv4/conf/all/arp_ignore = 1".
func (s Sysctl) String() string { return s.Path + " = " + s.Value }

// ReadSysctl returns the value of the sysctl at path, for which see
// Sysctl.Path, without the final newline.
func ReadSysctl(path string) (string, error) {
	file, err := sysctlFile(path)
	if err != nil {
		return "", fmt.Errorf("reading sysctl %q: %w", path, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading sysctl %s: %w", path, explainSysctl(err))
	}
	return strings.TrimRight(string(data), "\n"), nil
}

// WriteSysctl sets the sysctl at path, for which see Sysctl.Path.
func WriteSysctl(path, value string) error {
	file, err := sysctlFile(path)
	if err != nil {
		return fmt.Errorf("writing sysctl %q: %w", path, err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("writing sysctl %s: %w", path, explainSysctl(err))
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %q to sysctl %s: %w", value, path, explainSysctl(err))
	}
	return nil
}

func sysctlFile(path string) (string, error) {
	if !fs.ValidPath(path) || path == "." {
		return "", errors.New("not a path below " + sysctlRoot)
	}
	return filepath.Join(sysctlRoot, filepath.FromSlash(path)), nil
}

// explainSysctl replaces the file's name by what its error means here.
func explainSysctl(err error) error {
	var known *fs.PathError
	if errors.As(err, &known) {
		err = known.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("this kernel or interface does not have it: %w", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("/proc/sys is mounted read-only, as in an unprivileged container; set it on the host: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return &PrivilegeError{Err: err}
	}
	return err
}

// sameValue compares values as the kernel does: the white space between
// several numbers does not matter.
func sameValue(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
