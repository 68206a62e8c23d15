package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binaryVariable names the haldir to test. Where it is not set, the tests build it.
const binaryVariable = "HALDIR_BINARY"

// haldirBinary returns the path of the binary under test.
func haldirBinary(t *testing.T) string {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatalf("building haldir (set %s to test one that is built): %v", binaryVariable, err)
	}
	return path
}

// buildFolder holds what builtBinary built; TestMain removes it.
var buildFolder string

var builtBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryVariable); path != "" {
		return path, nil
	}
	var err error
	if buildFolder, err = os.MkdirTemp("", "haldir-lab-test-"); err != nil {
		return "", err
	}
	path := filepath.Join(buildFolder, "haldir")
	cmd := exec.Command("go", "build", "-o", path, "github.com/haldir-lb/haldir/cmd/haldir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})
