// Package ipvsctl owns what IPVS should contain and how the kernel's table is
// brought there: the desired Table, the pure Plan from what is to what should
// be, and the Reconciler that reads, applies and reads back through a Handle;
// and the same for the daemons that synchronise connections (ReconcileSync).
//
// It does not decide what is desired, holds no memory of the kernel's table,
// never flushes, and changes nothing of services that are not ours. It has no
// clock and no sockets: package ipvsnl is the kernel behind Handle, package
// ipvstest a strict fake of it.
package ipvsctl
