package process

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// residentOf reads how much of the program's file is mapped now, in bytes.
func residentOf(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[2])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// The process goes on as before, with less of the program mapped.
func TestWhatIsNotUsedOfTheProgramIsGivenBack(t *testing.T) {
	before := residentOf(t)
	if err := unmapProgram(); err != nil {
		t.Fatal(err)
	}
	if after := residentOf(t); after >= before {
		t.Errorf("%d bytes of files are mapped, %d before: want less", after, before)
	}
}
