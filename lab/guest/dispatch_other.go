//go:build !linux

package guest

// Dispatch returns false: there are Linux guests alone.
func Dispatch() (status int, ok bool) { return 0, false }
