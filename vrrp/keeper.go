package vrrp

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// keepEvery is how often an interface is looked at, and opening it retried.
	keepEvery = time.Second
	// batchLen is how many datagrams are received at once.
	batchLen = 32
	// batchesPerLink is how many receives may be under way to the loop. What is
	// beyond that waits in the socket's buffer.
	batchesPerLink = 2
	// Who wakes the reader more than floodWakes times within floodSpan sends more
	// than any set of routers: from then on it is heard floodPause late, many packets
	// at once, and cannot take the processor from everybody else.
	floodWakes = 32
	floodEnds  = 4 // or fewer
	floodSpan  = 10 * time.Millisecond
	floodPause = time.Millisecond
)

// run keeps the interface open until ctx ends. Opening sockets and reading
// addresses may be slow, which is why it is not the loop that does so.
func (k *keeper) run(ctx context.Context) {
	for {
		err := k.session(ctx)
		if ctx.Err() != nil {
			return
		}
		k.tell(ctx, news{link: k.link, err: err})
		if !k.pause(ctx) {
			return
		}
	}
}

// session opens the interface and returns when it cannot be used any more.
func (k *keeper) session(ctx context.Context) error {
	port, err := k.open()
	if err != nil {
		return err
	}
	defer port.Close()
	vrids := k.vrids.Load()
	if err := port.Listen(*vrids); err != nil {
		return err
	}
	source, err := port.Source(*k.exclude.Load())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer port.Close() // unblocks the reader
	defer cancel()
	failed := make(chan error, 1)
	k.tell(ctx, news{link: k.link, port: port, source: source})
	reader.Go(func() {
		failed <- k.read(ctx, port)
		if ctx.Err() == nil {
			k.nudge() // now that there is an error to find
		}
	})
	for {
		select {
		case err := <-failed:
			return err
		default:
		}
		if !k.pause(ctx) {
			return ctx.Err()
		}
		if now := k.vrids.Load(); *now != *vrids {
			if err := port.Listen(*now); err != nil {
				return err
			}
			vrids = now
		}
		found, err := port.Source(*k.exclude.Load())
		if err != nil {
			return err
		}
		if found != source {
			source = found
			k.tell(ctx, news{link: k.link, port: port, source: source})
		}
	}
}

func (k *keeper) open() (Port, error) {
	if k.family == IPv6 {
		return k.net.Open6(k.name)
	}
	return k.net.Open(k.name)
}

// read passes on what is received until the port is closed or fails.
func (k *keeper) read(ctx context.Context, port Port) error {
	room := MaxDatagram
	if k.family == IPv6 {
		room = MaxDatagram6
	}
	free := make(chan *batch, batchesPerLink)
	for range batchesPerLink {
		b := &batch{link: k.link, datagrams: make([]Datagram, batchLen), free: free}
		for i := range b.datagrams {
			b.datagrams[i].Buffer = make([]byte, room)
		}
		free <- b
	}
	var span time.Time // its beginning
	wakes, flooded := 0, false
	for {
		var b *batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		var err error
		if b.n, err = port.Receive(b.datagrams); err != nil {
			return fmt.Errorf("receiving on %s: %w", k.name, err)
		}
		full := b.n == len(b.datagrams)
		select {
		case k.batches <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		if now := time.Now(); now.Sub(span) > floodSpan {
			// While it pauses each time, it wakes about ten times.
			flooded = wakes > floodWakes || flooded && wakes > floodEnds
			span, wakes = now, 0
		}
		if wakes++; (flooded || wakes > floodWakes) && !full {
			time.Sleep(floodPause)
		}
	}
}

// pause waits until it is time to look again, and reports false when ctx ended.
func (k *keeper) pause(ctx context.Context) bool {
	timer := time.NewTimer(keepEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.kick:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

func (k *keeper) tell(ctx context.Context, n news) {
	select {
	case k.news <- n:
	case <-ctx.Done():
	}
}
