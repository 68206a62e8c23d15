// Package checkbench measures what health checks cost: benchmarks that drive the
// checker process as a director does, and keepalived's beside it. It has no code
// but tests; make bench-checks runs them.
package checkbench
