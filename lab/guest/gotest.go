package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// sourceDir is where package directories are in the guest.
const sourceDir = "/src"

// required is what a test may rely on in the guest, and so must not skip for.
const required = "HALDIR_TEST_REQUIRE=root,ipvs"

// test builds the tests of all packages, runs them in one boot and reports each.
func (c *command) test(ctx context.Context, flags []string) (int, error) {
	dir, err := os.MkdirTemp("", "haldir-guest-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	var steps []Step
	for i, pkg := range c.packages {
		step, err := c.testStep(ctx, pkg, filepath.Join(dir, strconv.Itoa(i)), flags)
		if errors.Is(err, errNoTests) {
			fmt.Fprintf(c.stdout, "?   \t%s\t[no test files]\n", pkg)
			continue
		}
		if err != nil {
			return 0, err
		}
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return 0, nil
	}
	status := 0
	c.options.OnStart = func(s Step) { fmt.Fprintf(c.stdout, "=== guest %s\n", s.Name) }
	c.options.OnResult = func(r Result) {
		if r.ExitStatus() != 0 {
			status = statusFailed
		}
		fmt.Fprintln(c.stdout, verdict(r))
	}
	_, err = RunAll(ctx, c.options, steps)
	return status, err
}

// verdict is the line that go test ends a package with.
func verdict(r Result) string {
	if r.ExitStatus() == 0 {
		return fmt.Sprintf("ok  \t%s\t%.3fs", r.Name, r.Took.Seconds())
	}
	return fmt.Sprintf("FAIL\t%s\t%.3fs\t%s", r.Name, r.Took.Seconds(), r)
}

var errNoTests = errors.New("no test files")

// testStep builds a package's tests and says how to run them: in the package's
// directory, of which the guest has the testdata, as go test would.
func (c *command) testStep(ctx context.Context, pkg, dir string, flags []string) (Step, error) {
	if !filepath.IsAbs(pkg) && !strings.HasPrefix(pkg, ".") {
		pkg = "./" + pkg
	}
	path, err := goList(ctx, pkg, "{{.ImportPath}}")
	if err != nil {
		return Step{}, err
	}
	source, err := goList(ctx, pkg, "{{.Dir}}")
	if err != nil {
		return Step{}, err
	}
	binary := filepath.Join(dir, filepath.Base(path)+".test")
	err = c.options.Progress.step("building the tests of "+path, func() (string, error) {
		_, err := goTool(ctx, "test", "-c", "-o", binary, pkg)
		return "", err
	})
	if err != nil {
		return Step{}, err
	}
	if _, err := os.Stat(binary); errors.Is(err, fs.ErrNotExist) {
		return Step{}, errNoTests
	}
	at := sourceDir + "/" + path
	c.files[at+"/"+filepath.Base(binary)] = binary
	if data := filepath.Join(source, "testdata"); isDir(data) {
		c.files[at+"/testdata"] = data
	}
	return Step{
		Name: path,
		Args: append([]string{at + "/" + filepath.Base(binary)}, flags...),
		Env:  []string{required},
		Dir:  at,
	}, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func goList(ctx context.Context, pkg, format string) (string, error) {
	out, err := goTool(ctx, "list", "-f", format, pkg)
	return strings.TrimSpace(out), err
}

// goTool runs the go command, for static binaries.
func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stdout bytes.Buffer
	said := newTail(16 << 10)
	cmd.Stdout, cmd.Stderr = &stdout, said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running go %s: %w%s", strings.Join(args, " "), err, said.quote(50))
	}
	return stdout.String(), nil
}
