// Package doctor looks for the classic mistakes of LVS hosts: a pure function from
// what was read of a host to findings, each with its evidence, what it leads to
// and what to do about it. There is one file for each family of checks.
//
// It reads nothing itself (internal/facts does) and changes nothing. What is
// unknown yields no finding.
package doctor
