package config

import (
	"fmt"
	"os"
	"strings"
)

// Stamp returns a text that differs whenever the files that Load(path) would
// read were added, removed, replaced or written. It reads none of them.
func Stamp(path string) (string, error) {
	names := []string{path}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		names, err = folderFiles(path)
	}
	if err != nil {
		return "", fmt.Errorf("looking at the configuration: %w", err)
	}
	var stamp strings.Builder
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return "", fmt.Errorf("looking at the configuration: %w", err)
		}
		fmt.Fprintf(&stamp, "%q %d %d\n", name, info.Size(), info.ModTime().UnixNano())
	}
	return stamp.String(), nil
}
