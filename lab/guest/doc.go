// Package guest runs programs on a Linux kernel that has ip_vs, under QEMU, on
// a machine whose own kernel lacks it.
//
// The kernel is a Debian cloud kernel, downloaded and unpacked but not
// installed; the init process is the running executable itself, started again
// in another role (Dispatch); its root is an initramfs with the kernel's
// network modules and the files of Options. The processor is emulated, so no
// virtualisation is needed and everything takes a few times longer than on the
// host. The guest has no disk and no network but its own loopback.
//
// The package knows nothing of load balancing: what runs in the guest is the
// caller's business.
package guest
