package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheStampFollowsTheFiles(t *testing.T) {
	dir := t.TempDir()
	main, drop := filepath.Join(dir, mainFile), filepath.Join(dir, dropInFolder, "a.toml")
	write := func(name, text string, at time.Time) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	early := time.Unix(1000, 0)
	seen := map[string]string{}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"one file", func() { write(main, "a", early) }},
		{"written in the same size", func() { write(main, "b", early.Add(time.Nanosecond)) }},
		{"longer, of the same time", func() { write(main, "bb", early.Add(time.Nanosecond)) }},
		{"a file added", func() { write(drop, "", early) }},
	} {
		step.do()
		stamp, err := Stamp(dir)
		if err != nil {
			t.Fatal(err)
		}
		if earlier, ok := seen[stamp]; ok {
			t.Errorf("%s: the stamp is that of %s", step.name, earlier)
		}
		seen[stamp] = step.name
		if again, err := Stamp(dir); err != nil || again != stamp {
			t.Errorf("%s: once more: %q, %v; want %q", step.name, again, err, stamp)
		}
	}
	write(filepath.Join(dir, dropInFolder, ".hidden.toml"), "", early)
	if stamp, err := Stamp(dir); err != nil || seen[stamp] == "" {
		t.Errorf("an editor's file changes the stamp: %v", err)
	}
	if _, err := Stamp(filepath.Join(dir, "absent")); err == nil {
		t.Error("the stamp of nothing is no error")
	}
}
