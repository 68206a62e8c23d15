//go:build !linux

package guest

import "os/exec"

// isolate does nothing: Prepare refuses systems other than Linux.
func isolate(*exec.Cmd) {}
