package vrrpbench

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab"
)

// patience bounds every wait.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == agentArgument {
		os.Exit(lab.AgentMain(os.Args[2:]))
	}
	status := m.Run()
	printTable()
	os.Exit(status)
}

// agentArgument is the first argument of the client and the responders, which are
// this program again.
const agentArgument = "lab-agent"

// row is one line of the table.
type row struct{ what, unit, haldir, keepalived, required string }

var table []row

// record adds a line to the table. Required says what is asked for, in words.
func record(what, unit, haldir, keepalived, required string) {
	table = append(table, row{what, unit, haldir, keepalived, required})
}

func printTable() {
	if len(table) == 0 {
		return
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nWHAT\tUNIT\tHALDIR\tKEEPALIVED\tREQUIRED")
	for _, r := range table {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.what, r.unit, r.haldir, r.keepalived, r.required)
	}
	_ = w.Flush()
}

// needs returns the two programs, and skips where one is missing.
func needs(b *testing.B) (haldir, keepalived string) {
	b.Helper()
	testenv.Root(b)
	haldir = os.Getenv("HALDIR_BINARY")
	if haldir == "" {
		b.Skip("HALDIR_BINARY names no program to measure")
	}
	keepalived, err := exec.LookPath("keepalived")
	if err != nil {
		b.Skipf("needs keepalived: %v", err)
	}
	return haldir, keepalived
}

// drills is how often something is done: the count, or what HALDIR_BENCH_DRILLS
// says if that is less.
func drills(count int) int {
	if n, err := strconv.Atoi(os.Getenv("HALDIR_BENCH_DRILLS")); err == nil {
		return min(n, count)
	}
	return count
}

// span is how long something is watched: d, or what HALDIR_BENCH_SPAN says if
// that is less.
func span(d time.Duration) time.Duration {
	if s, err := time.ParseDuration(os.Getenv("HALDIR_BENCH_SPAN")); err == nil {
		return min(s, d)
	}
	return d
}

// quantile sorts and returns what is at a part of the order, from 0 to 1.
func quantile(all []time.Duration) func(float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return func(q float64) time.Duration {
		if len(sorted) == 0 {
			return 0
		}
		return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
	}
}

// quantiles says p50, p99 and maximum, in milliseconds.
func quantiles(all []time.Duration) string {
	at := quantile(all)
	return fmt.Sprintf("%.1f / %.1f / %.1f", ms(at(0.5)), ms(at(0.99)), ms(at(1)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// during lets time pass.
func during(d time.Duration) { <-time.After(d) }

// eventually polls until something is so.
func eventually(b *testing.B, what string, so func() bool) {
	b.Helper()
	for bound := time.Now().Add(patience); !so(); during(2 * time.Millisecond) {
		if time.Now().After(bound) {
			b.Fatalf("not within %v: %s", patience, what)
		}
	}
}
