package firewall

import (
	"os"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }
