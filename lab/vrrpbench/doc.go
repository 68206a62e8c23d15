// Package vrrpbench measures VRRP side by side with Debian's keepalived: what the
// death of a host or of a process and a planned hand-over cost a client, and what
// many virtual routers, a busy machine and a flood cost a node. It has no code but
// tests; make bench-vrrp runs them and prints a table. docs/benchmarks-vrrp.md says how
// to read it.
package vrrpbench
