// Package vrrp is the Virtual Router Redundancy Protocol: version 3 over IPv4 and
// IPv6 (RFC 9568, which obsoletes RFC 5798), and version 2 over IPv4 (RFC 3768).
//
// It owns the packet codec, the receive checks, the timing formulas, the
// election of one virtual router ([Machine]), what makes several move as one
// ([SyncGroup]) and the loop that drives all
// virtual routers of a node ([Speaker]). Codec, formulas and Machine are pure:
// the current time is an argument and effects are returned as data. It does not
// own sockets (package vrrpsock), addresses, announcements or anything else that
// follows from being master; those act on the transitions that the Speaker
// reports.
//
// Quotations of the RFCs in this package are abridged. What is done otherwise than
// they say, on purpose, is listed in docs/deviations.md.
package vrrp
