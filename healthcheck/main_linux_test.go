package healthcheck

import (
	"os"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// The tests with real sockets have a network of their own.
func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
