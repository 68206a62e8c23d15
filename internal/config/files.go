package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// mainFile is the file of a configuration folder that must be there; the files
// of dropInFolder are read after it, in the order of their names.
const (
	mainFile     = "haldir.toml"
	dropInFolder = "conf.d"
)

// maxFileSize bounds one file: some 100,000 real servers.
const maxFileSize = 16 << 20

// readSources reads path, a file or a configuration folder.
func readSources(path string) ([]*source, error) {
	names := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if info.IsDir() {
		if names, err = folderFiles(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	sources := make([]*source, len(names))
	for i, name := range names {
		text, err := readText(name)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		sources[i] = &source{name: name, rank: i, text: text}
	}
	return sources, nil
}

// folderFiles lists the files of a configuration folder in order. Names that do
// not end in .toml, and hidden ones, are an editor's or a package manager's.
func folderFiles(folder string) ([]string, error) {
	names := []string{filepath.Join(folder, mainFile)}
	entries, err := os.ReadDir(filepath.Join(folder, dropInFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(folder, dropInFolder, e.Name()))
		}
	}
	slices.Sort(names[1:])
	return names, nil
}

func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFileSize {
		return "", fmt.Errorf("%s is larger than %d MiB", name, maxFileSize>>20)
	}
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}

// parseSource decodes one file. It returns nil after reporting why it cannot.
func parseSource(src *source, found *findings) *table {
	at := place{src: src}
	if bad := invalidText(src.text); bad >= 0 {
		at.offset = bad
		found.add(at, problem{message: "not a text in UTF-8"})
		return nil
	}
	index := indexText(src.text)
	if index.deep >= 0 {
		at.offset = index.deep
		found.add(at, problem{message: fmt.Sprintf("nested more than %d levels deep", maxDepth)})
		return nil
	}
	values := map[string]any{}
	if err := decode(src.text, &values); err != nil {
		what := problem{message: err.Error()}
		if syntax, ok := errors.AsType[toml.ParseError](err); ok {
			at.offset = syntax.Position.Start
			what = syntaxProblem(syntax)
			if strings.Contains(strings.ToLower(lineAt(src.text, at.offset)), "auth") {
				// The library quotes what it found, which may be the password; the key
				// may be misspelt.
				what = problem{message: "not TOML", legal: "a string stands in quotes"}
			}
		}
		found.add(at, what)
		return nil
	}
	if index.again >= 0 {
		at.offset = index.again
		found.add(at, problem{message: "not TOML: the key has a value already"})
		return nil
	}
	return &table{place: at, found: found, entry: index.root, values: values}
}

// decode runs the library, whose remaining "BUG" panics become errors: a broken
// file must not stop a daemon that reloads.
func decode(text string, into *map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parsing TOML: %v", r)
		}
	}()
	_, err = toml.Decode(text, into)
	return err
}

// syntaxProblem words a syntax error of the library as the others are worded.
func syntaxProblem(err toml.ParseError) problem {
	message := strings.TrimSuffix(err.Message, ".")
	if first, rest, ok := strings.Cut(message, " "); ok && len(first) > 1 && first != strings.ToUpper(first) {
		message = strings.ToLower(first[:1]) + first[1:] + " " + rest
	}
	what := problem{message: "not TOML: " + message}
	// The usual mistake: a string without its quotes.
	if _, word, ok := strings.Cut(message, "expected value but found "); ok && strings.HasSuffix(word, " instead") {
		if word = strings.TrimSuffix(word, " instead"); len(word) > 3 && word[0] == '"' {
			what.legal = "a string stands in quotes"
		}
	}
	return what
}

// lineAt returns the line of text that has the byte at offset.
func lineAt(text string, offset int) string {
	offset = min(max(offset, 0), len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	return line
}

// invalidText returns the offset of the first byte that is not UTF-8 text, or -1.
func invalidText(text string) int {
	for i, r := range text {
		if r == 0 {
			return i
		}
		if r == utf8.RuneError {
			if _, width := utf8.DecodeRuneInString(text[i:]); width == 1 {
				return i
			}
		}
	}
	return -1
}
