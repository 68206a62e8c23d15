package lab

import (
	"os"
	"testing"
)

// TestMain serves as the lab's helpers too: the tests start them as their own
// binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "lab-agent":
			os.Exit(AgentMain(os.Args[2:]))
		case killedLab:
			os.Exit(waitToBeKilled())
		}
	}
	status := m.Run()
	if buildFolder != "" {
		_ = os.RemoveAll(buildFolder)
	}
	os.Exit(status)
}
