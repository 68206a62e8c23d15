package repotest

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/haldir-lb/haldir"

// file is one Go file of the repository.
type file struct {
	name   string // slash-separated, from the repository's root
	dir    string
	test   bool
	source []byte
	syntax *ast.File
	set    *token.FileSet
}

// imports lists what the file imports.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.syntax.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

// tree returns every Go file of the repository.
func tree(t *testing.T) []*file {
	t.Helper()
	files, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found only %d Go files: this test looks in the wrong place", len(files))
	}
	return files
}

// parsed parses the files, once for all tests.
var parsed = sync.OnceValues(func() ([]*file, error) {
	root := filepath.Join("..", "..")
	var files []*file
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && name != root) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, rel, source, parser.ParseComments)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(rel)
		files = append(files, &file{
			name: slashed, dir: path.Dir(slashed), test: strings.HasSuffix(slashed, "_test.go"),
			source: source, syntax: syntax, set: set,
		})
		return nil
	})
	return files, err
})

// under reports whether dir is one of the prefixes or below one.
func under(dir string, prefixes ...string) bool {
	for _, p := range prefixes {
		if dir == p || strings.HasPrefix(dir, p+"/") {
			return true
		}
	}
	return false
}

// calls reports whether the file uses pkg.name for one of the names.
func (f *file) calls(importPath string, names ...string) (string, bool) {
	local := path.Base(importPath)
	imported := false
	for _, spec := range f.syntax.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p == importPath {
			imported = true
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if !imported {
		return "", false
	}
	found := ""
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == local {
			for _, name := range names {
				if selector.Sel.Name == name {
					found = f.set.Position(selector.Pos()).String() + ": " + local + "." + name
				}
			}
		}
		return true
	})
	return found, found != ""
}

func formatted(source []byte) bool {
	out, err := format.Source(source)
	return err == nil && bytes.Equal(out, source)
}
