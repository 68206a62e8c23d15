// Package repotest holds the rules of this repository as tests: import
// direction, who may read the clock, run programs or make system calls, one
// package comment each, small files. It has no code of its own.
package repotest
