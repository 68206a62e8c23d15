// Package lab owns a cluster on one machine: directors, real servers, a router
// and a client, each in a network namespace of its own on one Linux bridge; the
// faults that befall them; what is seen on their wire; and the demonstration
// made of these.
//
// The client and its accounts are in package traffic, the guest kernel for
// hosts without ip_vs in package guest. The lab runs the haldir binary as a user
// would, and reads its state from the kernel, the wire and the API.
package lab
