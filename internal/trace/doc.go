// Package trace tells one packet's whole journey from a client to a real server
// and back: which director, which service, which real server and why, and what the
// packet looks like at each hop.
//
// The journey as it will go is a pure function of what was read of this host. As
// it goes, it is captured on the interfaces. What this host cannot know is said to
// be unknown.
package trace
