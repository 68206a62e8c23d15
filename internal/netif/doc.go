// Package netif owns what this host's network stack holds on our behalf:
// addresses, sysctls and the tunnel device of a real server; and it reads what
// it does not own: links, routes, modules.
//
// Addresses are reconciled: what is there is read, compared with what is
// desired, changed where it differs, and read back. Ours carry an address
// protocol tag (IFA_PROTO, Linux 5.18), so ownership is read from the kernel,
// survives a crash and needs no memory. An address that somebody else put there
// is used as it is and never removed.
//
// Sysctls carry no tag; what they held before is written to a record on disk
// ahead of the first change, and restored from there.
//
// A real server needs no route of its own for a virtual address on lo or a
// tunnel: the kernel's entry in the local table, made with the address, takes
// the packets in and makes the address a legal source. So this package reads
// routes and changes none.
//
// What is desired, and when, is decided elsewhere.
package netif
