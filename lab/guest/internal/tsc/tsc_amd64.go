package tsc

const supported = true

// read returns the processor's time stamp counter.
func read() uint64
