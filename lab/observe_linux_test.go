package lab

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/arp"
)

// hears reports whether a gets an answer when it asks for b's address.
func hears(t *testing.T, a, b *Node) bool {
	t.Helper()
	var answers []arp.Answer
	err := a.Do(func() (err error) {
		answers, err = arp.Probe(context.Background(), Interface, b.Address, 200*time.Millisecond)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(answers) > 0
}

func readSysctl(t *testing.T, n *Node, path string) string {
	t.Helper()
	var value []byte
	err := n.Do(func() (err error) {
		value, err = os.ReadFile(filepath.Join("/proc/sys", path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value))
}
