package doctor

import (
	"flag"
	"os"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestMain(m *testing.M) {
	if want := os.Getenv(lookVariable); want != "" {
		os.Exit(lookForParent(want))
	}
	// The tests of the segment wait: there may be more of them than processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(testenv.Main(m))
}
