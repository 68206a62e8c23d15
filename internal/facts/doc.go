// Package facts reads what this host is like at this moment: interfaces,
// addresses, routes, kernel parameters, modules, sockets, the IPVS table, who
// manages the network, and what a bounded look at its segments shows.
//
// It changes nothing and judges nothing. What could not be read is said to be
// unknown, with the reason, and is never guessed.
package facts
