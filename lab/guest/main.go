package guest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

const usage = `usage: %[1]s [flags] -- PROGRAM [ARGUMENT...]
       %[1]s [flags] -test PACKAGE [-test PACKAGE...] [-- TEST-FLAG...]

Runs a program of this machine, or the tests of Go packages, on a guest kernel
that has ip_vs. PROGRAM is taken into the guest with the libraries it needs; if
this machine has no such file, it is a path in the guest. The exit status is the
program's, 1 if a test failed, 2 for wrong usage, 3 if the guest failed.

`

// Exit statuses of Main besides those of the program.
const (
	statusFailed = 1
	statusUsage  = 2
	statusGuest  = 3
	statusCtrlC  = 130
)

// Main is a command line for Run and RunAll: see its -help. args[0] is the
// command's name, for messages. It returns the exit status.
func Main(ctx context.Context, args []string, stdout, stderr *os.File) int {
	c := command{name: args[0], files: Files{}, stdout: stdout, stderr: stderr}
	flags := c.flags()
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return statusUsage
	case len(c.packages) == 0 && flags.NArg() == 0:
		flags.Usage()
		return statusUsage
	}
	c.options.Progress = ShowProgress(stderr)
	c.options.Files, c.options.Env = c.files, append(Environment(), c.options.Env...)
	c.options.Stdout, c.options.Stderr = stdout, stderr
	if c.verbose {
		c.options.KernelLog = stderr
	}
	run := c.program
	if len(c.packages) > 0 {
		run = c.test
	}
	status, err := run(ctx, flags.Args())
	if ctx.Err() != nil {
		return statusCtrlC
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", c.name, err)
		return statusGuest
	}
	return status
}

// command is the parsed command line.
type command struct {
	name           string
	options        Options
	files          Files
	packages       []string
	verbose        bool
	stdout, stderr *os.File
}

func (c *command) flags() *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	flags.Usage = func() {
		fmt.Fprintf(c.stderr, usage, c.name)
		flags.PrintDefaults()
	}
	flags.Func("file", "`GUEST=HOST`: put a file or a directory of the host into the guest (repeatable)", func(s string) error {
		at, host, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("not GUEST=HOST")
		}
		c.files[at] = host
		return nil
	})
	flags.Func("with", "`PROGRAM` of the host to put into the guest with its libraries (repeatable)", func(s string) error {
		return c.files.AddProgram(s)
	})
	flags.Func("env", "`KEY=VALUE` in the program's environment (repeatable)", func(s string) error {
		if !strings.Contains(s, "=") {
			return fmt.Errorf("not KEY=VALUE")
		}
		c.options.Env = append(c.options.Env, s)
		return nil
	})
	flags.Func("test", "`PACKAGE` directory whose tests to build and run in the guest (repeatable; one boot for all)", func(s string) error {
		c.packages = append(c.packages, s)
		return nil
	})
	flags.StringVar(&c.options.Dir, "C", "", "working `directory` in the guest")
	flags.StringVar(&c.options.Kernel, "kernel", DefaultKernel, "`series` of the kernel: 6.1 or 6.12")
	flags.IntVar(&c.options.Memory, "memory", 0, "memory of the guest in `MiB` (default 2048)")
	flags.IntVar(&c.options.CPUs, "cpus", 0, "processors of the guest (default 2)")
	flags.DurationVar(&c.options.Timeout, "timeout", 10*time.Minute, "end a program after this time; 0: never")
	flags.BoolVar(&c.verbose, "kernel-log", false, "show the guest's kernel log")
	return flags
}

// program runs one program.
func (c *command) program(ctx context.Context, args []string) (int, error) {
	if path, err := lookProgram(args[0]); err == nil && isFile(path) {
		if err := c.files.AddProgram(path); err != nil {
			return 0, err
		}
		args[0] = path
	}
	c.options.Args, c.options.Terminal = args, TerminalOf(c.stdout)
	result, err := Run(ctx, c.options)
	if err != nil {
		return 0, err
	}
	if result.Problem != "" || result.TimedOut || result.Signal != 0 {
		fmt.Fprintf(c.stderr, "%s: %s: %s\n", c.name, args[0], result)
	}
	return result.ExitStatus(), nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
