//go:build !linux

package script

import "io/fs"

// No program is run on another system, so nobody's program is judged.
func ownerOf(fs.FileInfo) (uint32, bool) { return 0, false }
func groupOf(fs.FileInfo) (uint32, bool) { return 0, false }
