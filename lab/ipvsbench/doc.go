// Package ipvsbench measures IPVS at scale, side by side with Debian's keepalived in
// one guest: what a table of many services takes from the start, what the change of
// one weight takes, and the memory of all processes. It has no code but tests; make
// bench-ipvs runs them. docs/benchmarks.md says how to read it.
package ipvsbench
