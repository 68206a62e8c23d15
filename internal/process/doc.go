// Package process owns the processes of one node: it re-executes the binary in
// its three roles, keeps the sockets between them, restarts what dies, and
// carries typed messages across. It knows nothing of what the roles do.
//
// The supervisor is the parent of the speaker, the director and the checker. It
// holds both ends of every socket pair, so that the death of a process is no
// hang-up for the one that it talked to: the successor inherits the same
// descriptor and says hello.
package process
