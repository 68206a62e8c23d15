// Package ipvsnl is the kernel behind ipvsctl.Handle: the generic netlink
// family "IPVS". It owns the encoding of every attribute (include/uapi/linux/
// ip_vs.h), the pipelining of requests and what the kernel's error numbers mean
// for each command.
//
// It decides nothing: not what should be in the table, and not when to try
// again. It loads no module by itself; asking for the family makes the kernel
// load ip_vs where it can.
package ipvsnl

// The family, its version and its commands.
const (
	familyName    = "IPVS"
	familyVersion = 1

	cmdNewService = 1
	cmdSetService = 2
	cmdDelService = 3
	cmdGetService = 4
	cmdNewDest    = 5
	cmdSetDest    = 6
	cmdDelDest    = 7
	cmdGetDest    = 8
	cmdSetConfig  = 12
	cmdGetConfig  = 13
	cmdGetInfo    = 15
	cmdZero       = 16
)

// Attributes of the first level; those of SET_INFO are numbered by themselves.
const (
	attrService       = 1
	attrDest          = 2
	attrTimeoutTCP    = 4
	attrTimeoutTCPFin = 5
	attrTimeoutUDP    = 6

	infoVersion      = 1
	infoConnTabSize  = 2
	genlHeaderLength = 4
)

// Attributes of a service.
const (
	svcFamily    = 1  // u16, AF_*
	svcProtocol  = 2  // u16
	svcAddress   = 3  // 16 bytes; IPv4 in the first four
	svcPort      = 4  // be16
	svcFWMark    = 5  // u32
	svcScheduler = 6  // NUL-terminated
	svcFlags     = 7  // u32 flags, u32 mask
	svcTimeout   = 8  // u32, seconds
	svcNetmask   = 9  // IPv4: be32 mask; IPv6: u32 prefix length
	svcStats     = 10 // nested
	svcEngine    = 11 // NUL-terminated
	svcStats64   = 12 // nested
)

// Attributes of a destination.
const (
	dstAddress         = 1
	dstPort            = 2 // be16
	dstForward         = 3 // u32
	dstWeight          = 4 // u32
	dstUpper           = 5
	dstLower           = 6
	dstActiveConns     = 7
	dstInactiveConns   = 8
	dstPersistentConns = 9
	dstStats           = 10
	dstFamily          = 11 // u16
	dstStats64         = 12
	dstTunnelType      = 13 // u8
	dstTunnelPort      = 14 // be16
	dstTunnelFlags     = 15 // u16
)

// Attributes of statistics; the 64-bit form has u64 in each, the other has u64
// for the bytes and u32 for the rest.
const (
	statConns = iota + 1
	statInPackets
	statOutPackets
	statInBytes
	statOutBytes
	statConnRate
	statInPacketRate
	statOutPacketRate
	statInByteRate
	statOutByteRate
)

// Flags of a service. HASHED (0x2) is the kernel's own.
const (
	flagPersistent = 0x01
	flagOnePacket  = 0x04
	schedFlagShift = 3
	schedFlagMask  = 0x07
	flagsOfOurs    = flagPersistent | flagOnePacket | schedFlagMask<<schedFlagShift
)

// Forwarding methods, as the kernel numbers them.
const (
	fwdMask   = 0x7
	fwdNAT    = 0
	fwdLocal  = 1
	fwdTunnel = 2
	fwdDirect = 3
)

// Address families, as Linux numbers them.
const (
	afInet  = 2
	afInet6 = 10
)
