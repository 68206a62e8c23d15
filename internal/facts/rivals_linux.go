package facts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rivals are programs that hold virtual addresses or write the IPVS table.
var rivals = []string{"keepalived", "ldirectord", "ucarp", "vrrpd", "uvrrpd", "seesaw_engine", "seesaw_ncc"}

// readRivals lists which of them run in the network namespace of this thread.
// Processes come and go meanwhile: what cannot be read of one is left out.
func readRivals() ([]string, error) {
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("reading this network namespace: %w", err)
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		comm, err := os.ReadFile(name)
		program := strings.TrimSpace(string(comm))
		if err != nil || !slices.Contains(rivals, program) || slices.Contains(found, program) {
			continue
		}
		if ns, err := os.Readlink(filepath.Join(filepath.Dir(name), "ns", "net")); err == nil && ns == own {
			found = append(found, program)
		}
	}
	slices.Sort(found)
	return found, nil
}
