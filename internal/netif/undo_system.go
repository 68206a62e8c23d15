package netif

import (
	"fmt"
	"os"

	"github.com/haldir-lb/haldir/internal/statefile"
)

// hostSysctls is the undoSystem of this host.
type hostSysctls struct{}

func (hostSysctls) boot() (string, error) { return ReadSysctl("kernel/random/boot_id") }

func (hostSysctls) readSysctl(path string) (string, error) { return ReadSysctl(path) }

func (hostSysctls) writeSysctl(path, value string) error { return WriteSysctl(path, value) }

func (hostSysctls) interfaces(path string) ([]string, error) {
	file, err := sysctlFile(path)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(file)
	if err != nil {
		return nil, fmt.Errorf("listing sysctls: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (hostSysctls) readFile(name string) ([]byte, error) { return os.ReadFile(name) }

func (hostSysctls) replace(name string, data []byte) error { return statefile.Replace(name, data) }

func (hostSysctls) remove(name string) error { return statefile.Remove(name) }
