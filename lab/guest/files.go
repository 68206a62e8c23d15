package guest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Files says what the guest has: host paths by guest path. A host path that is
// a directory brings everything below it; a symbolic link is followed if it is
// the host path itself, and kept as it is below a directory. In the guest /bin,
// /sbin, /lib and /lib64 are those in /usr.
type Files map[string]string

// AddProgram adds an installed program at its own path, with the interpreter
// and the shared libraries that it needs. A name without a slash is looked up in
// PATH and in the system directories of programs. Scripts bring what their first
// line names. Libraries that a program opens by itself at run time (plug-ins)
// are not seen, nor are data files.
func (f Files) AddProgram(name string) error {
	path, err := lookProgram(name)
	if err == nil {
		err = f.addProgram(path)
	}
	if err != nil {
		return fmt.Errorf("adding program %s to the guest: %w", name, err)
	}
	return nil
}

func lookProgram(name string) (string, error) {
	if strings.Contains(name, "/") {
		return filepath.Abs(name)
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func (f Files) addProgram(path string) error {
	if _, there := f[path]; there {
		return nil
	}
	interpreter, err := scriptInterpreter(path)
	if err != nil {
		return err
	}
	f[path] = path
	if interpreter == nil {
		return f.addLibraries(path)
	}
	for _, program := range interpreter {
		if program, err = lookProgram(program); err != nil {
			return err
		}
		if err := f.addProgram(program); err != nil {
			return err
		}
	}
	return nil
}

// scriptInterpreter returns the programs that the first line of a script names:
// "#!/bin/sh" one, "#!/usr/bin/env python3" two; nil if path is no script.
func scriptInterpreter(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, 4096)).ReadString('\n')
	if err != nil && err != io.EOF {
		return nil, err
	}
	rest, ok := strings.CutPrefix(line, "#!")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return nil, nil
	}
	if filepath.Base(fields[0]) == "env" && len(fields) > 1 {
		return fields[:2], nil
	}
	return fields[:1], nil
}
