// Package control owns the API of a running node: its versioned JSON types, the
// server on a Unix socket and the client that the commands use. It knows
// nothing of how the answers are made: the server is given functions.
package control
