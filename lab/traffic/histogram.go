package traffic

import (
	"math/bits"
	"time"
)

// subBuckets is how many buckets a doubling has: quantiles are at most 1/16 above
// the truth.
const subBuckets = 16

// histogram counts durations in microseconds.
type histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.max = max(h.max, d)
	h.total++
	h.counts[bucketOf(uint64(max(d, 0)/time.Microsecond))]++
}

// quantile returns a bound that the share q of the durations does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen > rank {
			return min(time.Duration(upper(i))*time.Microsecond, h.max)
		}
	}
	return h.max
}

func (h *histogram) summary() Spread {
	return Spread{Median: h.quantile(0.5), P99: h.quantile(0.99), Max: h.max}
}

func bucketOf(us uint64) int {
	if us < subBuckets {
		return int(us)
	}
	shift := bits.Len64(us) - 5 // leaves 16..31
	return (shift+1)*subBuckets + int(us>>shift) - subBuckets
}

// upper is the largest value of a bucket.
func upper(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return (uint64(i%subBuckets+subBuckets)+1)<<shift - 1
}
