// Package pid1 is the guest's side: it is the init process that mounts, loads
// modules, runs the steps of the plan one after the other and reports to the
// host, and the modprobe that the guest's kernel calls. It must run nowhere
// but in the guest.
package pid1
