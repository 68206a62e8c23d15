package vrrp

import "time"

const (
	// MinInterval is the shortest Advertisement_Interval, and the unit of all.
	MinInterval = 10 * time.Millisecond
	// MaxInterval is the longest Advertisement_Interval: 12 bits of centiseconds.
	MaxInterval = 4095 * MinInterval
	// MaxInterval2 is that of version 2: 8 bits of seconds.
	MaxInterval2 = 255 * time.Second
	// OwnerPriority is the priority of the router that owns the addresses.
	OwnerPriority = 255
)

// SkewTime is Skew_Time of version 3 (RFC 9568, section 6.1): a backup of higher
// priority waits less, so that it is the first to take over.
func SkewTime(priority uint8, masterInterval time.Duration) time.Duration {
	return time.Duration(256-int(priority)) * masterInterval / 256
}

// SkewTime is Skew_Time of the router's version. In version 2 it does not depend
// on the interval: "( (256 - Priority) / 256 )" seconds (RFC 3768, section 6.1).
func (c *RouterConfig) SkewTime(masterInterval time.Duration) time.Duration {
	if c.version() == 2 {
		masterInterval = time.Second
	}
	return SkewTime(c.Priority, masterInterval)
}

// MasterDownInterval is how long this router as backup waits for a silent master
// that advertises at this interval.
func (c *RouterConfig) MasterDownInterval(masterInterval time.Duration) time.Duration {
	return 3*masterInterval + c.SkewTime(masterInterval)
}

// Patience is how long this router as master may be silent before it has to assume
// that another one took over: the down interval of the most eager backup.
func (c *RouterConfig) Patience() time.Duration {
	eager := *c
	eager.Priority = OwnerPriority - 1
	return eager.MasterDownInterval(c.Interval)
}

// MasterDownInterval is Active_Down_Interval of version 3 (RFC 9568, section 6.1):
// how long a backup of this priority waits for a silent master.
func MasterDownInterval(priority uint8, masterInterval time.Duration) time.Duration {
	return 3*masterInterval + SkewTime(priority, masterInterval)
}

// carrierSettle is how long after a link came up nobody is believed to be silent: a
// switch port that has carrier may not forward yet, whatever the interval is.
const carrierSettle = time.Second

// HandoverBound is how long a resigned master waits for a successor at most.
func HandoverBound(interval time.Duration) time.Duration {
	return 3*interval + time.Second
}

// handoverLinger is how long a resigned master stays after its successor's first
// advert, so that the successor's announcements come before the end of ours.
func handoverLinger(interval time.Duration) time.Duration {
	return min(interval, 100*time.Millisecond)
}
