package vrrp

import "fmt"

// DropReason is the receive check that a packet failed (RFC 9568, section 7.1).
// A dropped packet has no effect but being counted.
type DropReason uint8

const (
	// Accepted: the packet passed every check.
	Accepted           DropReason = iota
	DropFamily                    // addresses that do not go together
	DropTTL                       // TTL or hop limit is not 255
	DropDestination               // not sent to 224.0.0.18 or ff02::12; of unicast routers: to a group
	DropPeer                      // of unicast routers: sent by somebody who is no peer
	DropHops                      // of unicast routers: TTL or hop limit is below the minimum
	DropLength                    // shorter or longer than its header and count say
	DropVersion                   // not the configured version
	DropType                      // not an ADVERTISEMENT
	DropChecksum                  // wrong; of version 3 over IPv4, with and without pseudo-header
	DropCount                     // no address
	DropInterval                  // Max Advertise Interval is 0
	DropAuthentication            // version 2: another type or password than ours
	DropOtherInterval             // version 2: another interval than ours
	DropVRID                      // no such virtual router on this interface
	DropOwn                       // sent from our own address: looped back
	dropReasons                   // how many there are
)

var dropNames = [dropReasons]string{
	Accepted:           "accepted",
	DropFamily:         "address family",
	DropTTL:            "TTL not 255",
	DropDestination:    "destination",
	DropPeer:           "not a peer",
	DropHops:           "TTL below the minimum",
	DropLength:         "length",
	DropVersion:        "version",
	DropType:           "type",
	DropChecksum:       "checksum",
	DropCount:          "no addresses",
	DropInterval:       "interval zero",
	DropAuthentication: "authentication",
	DropOtherInterval:  "other interval",
	DropVRID:           "unknown VRID",
	DropOwn:            "own packet",
}

// String returns a short stable text, the key of RouterStatus.Dropped.
func (r DropReason) String() string {
	if r < dropReasons {
		return dropNames[r]
	}
	return fmt.Sprintf("DropReason(%d)", uint8(r))
}
