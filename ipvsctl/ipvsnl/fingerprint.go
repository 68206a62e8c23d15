package ipvsnl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// tableText is the table of the calling thread's network namespace as text.
const tableText = "/proc/thread-self/net/ip_vs"

// Fingerprint returns a number that changes with the table of the process's
// network namespace: with services, their schedulers and persistence, and with
// destinations, their forwarding and weights, but neither with counters nor with
// thresholds and tunnel options. The kernel tells nobody of changes; this is one
// read of a text, where reading the table takes two requests for each service.
func Fingerprint() (uint64, error) {
	f, err := os.Open(tableText)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading the ipvs table as text: %w", ipvsctl.ErrUnavailable)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the ipvs table as text: %w", err)
	}
	defer func() { _ = f.Close() }()
	sum, err := fingerprint(f)
	if err != nil {
		return 0, fmt.Errorf("reading the ipvs table as text: %w", err)
	}
	return sum, nil
}

func fingerprint(r io.Reader) (uint64, error) {
	hash := fnv.New64a()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if bytes.HasPrefix(line, []byte("->")) {
			line = withoutCounters(line)
		}
		_, _ = hash.Write(line)
		_, _ = hash.Write([]byte{'\n'})
	}
	return hash.Sum64(), lines.Err()
}

// withoutCounters cuts the two counters of connections off the line of a
// destination, and the spaces that align them.
func withoutCounters(line []byte) []byte {
	for range 2 {
		line = bytes.TrimRight(line, " ")
		line = bytes.TrimRight(line, "0123456789")
	}
	return bytes.TrimRight(line, " ")
}
