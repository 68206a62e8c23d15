package control

import "time"

// SplitBrain is what is known of a second master.
type SplitBrain struct {
	Since time.Time `json:"since"`
	// With is who: the address that its adverts come from, or the MAC address that
	// answers ARP for a virtual address.
	With string `json:"with"`
	// Evidence is how it is known: adverts or arp.
	Evidence string `json:"evidence"`
	// Seen is how old the newest evidence is.
	Seen Milliseconds `json:"seen_ms_ago"`
}

// LatenessStatus is a histogram.
type LatenessStatus struct {
	Count uint64       `json:"count"`
	Sum   Milliseconds `json:"sum_ms"`
	Max   Milliseconds `json:"max_ms"`
	Last  Milliseconds `json:"last_ms"`
	// Buckets count what is no later than their bounds, which ascend.
	Buckets []LatenessBucket `json:"buckets"`
}

// LatenessBucket counts what is no later than its bound.
type LatenessBucket struct {
	Bound Milliseconds `json:"bound_ms"`
	Count uint64       `json:"count"`
}
