package guest

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linked returns what ldd says that a program needs: the witness.
func linked(t *testing.T, program string) []string {
	t.Helper()
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Skipf("needs ldd and %s: %v", program, err)
	}
	var files []string
	for line := range strings.Lines(string(out)) {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "/") {
				files = append(files, word)
			}
		}
	}
	return files
}

// realPaths follows links, which name one file in several ways.
func realPaths(t *testing.T, files []string) []string {
	t.Helper()
	var paths []string
	for _, file := range files {
		path, err := filepath.EvalSymlinks(file)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func TestAddProgramFindsWhatLddFinds(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	want := realPaths(t, append(linked(t, bash), bash))
	files := Files{}
	if err := files.AddProgram("bash"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, realPaths(t, slices.Collect(maps.Keys(files)))); diff != "" {
		t.Errorf("unexpected files (-want +got)\n%s", diff)
	}
}

func TestAddProgramTakesAScriptsInterpreter(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!"+bash+" -e\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := Files{}
	if err := files.AddProgram(script); err != nil {
		t.Fatal(err)
	}
	if files[script] != script || files[bash] != bash || len(files) < 4 {
		t.Errorf("files = %v, want the script, %s and its libraries", files, bash)
	}
}

func TestScriptInterpreter(t *testing.T) {
	for text, want := range map[string][]string{
		"#!/bin/sh\nls\n":          {"/bin/sh"},
		"#! /bin/sh -e\n":          {"/bin/sh"},
		"#!/usr/bin/env python3\n": {"/usr/bin/env", "python3"},
		"\x7fELF":                  nil,
		"":                         nil,
		"#!\n":                     nil,
	} {
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := scriptInterpreter(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: unexpected programs (-want +got)\n%s", text, diff)
		}
	}
}

func TestAddProgramNamesWhatIsMissing(t *testing.T) {
	err := Files{}.AddProgram("no-such-program")
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("AddProgram = %v, want ErrNotFound with the name", err)
	}
}

func TestConfiguredDirsFollowsIncludes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ld.so.conf":      "# a comment\ninclude conf.d/*.conf\n/opt/b # another\n",
		"conf.d/a.conf":   "/opt/a\ninclude " + dir + "/ld.so.conf\n",
		"conf.d/no.other": "/opt/no\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := configuredDirs(filepath.Join(dir, "ld.so.conf"), 0)
	slices.Sort(got)
	want := []string{"/opt/a", "/opt/b"}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("unexpected directories (-want +got)\n%s", diff)
	}
}
