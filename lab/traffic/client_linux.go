package traffic

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stream is one ledger, the lock around it, and what feeds it.
type stream struct {
	mu     sync.Mutex
	ledger *Ledger
	begin  time.Time
	rate   int
	// send sends request seq; an error means that it did not leave.
	send func(seq uint64) error
}

// elapsed is the offset of now.
func (s *stream) elapsed() time.Duration { return time.Since(s.begin) }

// pace sends requests until ctx ends, on a thread of its own, so that the kernel
// wakes it and no other goroutine holds it up.
func (s *stream) pace(ctx context.Context) {
	runtime.LockOSThread()
	pacer := NewPacer(s.elapsed(), s.rate)
	var skipped uint64
	for ctx.Err() == nil {
		nap(pacer.Next() - s.elapsed())
		now := s.elapsed()
		late := pacer.Sent(now)
		s.mu.Lock()
		seq := s.ledger.Sent(now, late)
		if n := pacer.Skipped(); n > skipped {
			s.ledger.Skip(n - skipped)
			skipped = n
		}
		s.mu.Unlock()
		if err := s.send(seq); err != nil {
			s.fail(seq, Unsent)
		}
	}
}

func nap(d time.Duration) {
	if d <= 0 {
		return
	}
	ts := unix.NsecToTimespec(int64(d))
	// Woken early by a signal, a request is sent early by that much.
	_ = unix.Nanosleep(&ts, nil)
}

func (s *stream) fail(seq uint64, outcome Outcome) {
	now := s.elapsed()
	s.mu.Lock()
	s.ledger.Fail(seq, now, outcome)
	s.mu.Unlock()
}

func (s *stream) answer(seq uint64, at time.Duration, server string, ttl uint8) {
	s.mu.Lock()
	s.ledger.Answer(seq, at, server, ttl)
	s.mu.Unlock()
}

// ticked settles the ledger and returns the ticks that are complete.
func (s *stream) ticked() []Tick {
	now := s.elapsed()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Settle(now)
	return s.ledger.Ticks(now)
}

func (s *stream) mark(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Mark(name)
}

func (s *stream) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.Waiting()
}

// runClient sends until it is told to stop, waits for the last answers, and
// reports.
func runClient(ctx context.Context, cfg ClientConfig, commands <-chan Command, out *lines) error {
	if cfg.Timeout <= 0 {
		return errors.New("a client needs a timeout")
	}
	begin := time.Now()
	sending, stopSending := context.WithCancel(ctx)
	receiving, stopReceiving := context.WithCancel(ctx)
	var senders, receivers sync.WaitGroup
	defer receivers.Wait()
	defer stopReceiving()
	defer senders.Wait()
	defer stopSending()

	var streams []*stream
	failed := make(chan error, len(cfg.UDP)+len(cfg.TCP))
	open := func(name string, rate int, opened func(*stream) (receive func(context.Context) error, err error)) error {
		s := &stream{ledger: NewLedger(name, begin, cfg.Timeout), begin: begin, rate: rate}
		receive, err := opened(s)
		if err != nil {
			return err
		}
		streams = append(streams, s)
		receivers.Go(func() {
			if err := receive(receiving); err != nil {
				failed <- err
			}
		})
		return nil
	}
	for _, udp := range cfg.UDP {
		if err := open(StreamName("udp", udp.Target.Addr()), udp.Rate, udp.open); err != nil {
			return err
		}
	}
	for _, tcp := range cfg.TCP {
		if err := open(StreamName("tcp", tcp.Target.Addr()), tcp.Rate, tcp.open); err != nil {
			return err
		}
	}
	if len(streams) == 0 {
		return errors.New("a client needs a stream with a rate")
	}
	for _, s := range streams {
		senders.Go(func() { s.pace(sending) })
	}
	if err := out.write(Message{Ready: true}); err != nil {
		return fmt.Errorf("saying that the client is ready: %w", err)
	}
	if err := conduct(streams, commands, failed, out); err != nil {
		return err
	}
	stopSending()
	senders.Wait()
	return finish(streams, cfg.Timeout, out)
}

// conduct tells ticks and obeys commands until it is told to stop.
func conduct(streams []*stream, commands <-chan Command, failed <-chan error, out *lines) error {
	ticker := time.NewTicker(tickLength / 2)
	defer ticker.Stop()
	for {
		select {
		case err := <-failed:
			return err
		case <-ticker.C:
			if err := tellTicks(streams, out); err != nil {
				return err
			}
		case c, ok := <-commands:
			if !ok || c.Stop {
				return nil
			}
			for _, s := range streams {
				s.mark(c.Mark)
			}
			if err := out.write(Message{Marked: c.Mark}); err != nil {
				return fmt.Errorf("confirming a mark: %w", err)
			}
		}
	}
}

func tellTicks(streams []*stream, out *lines) error {
	for _, s := range streams {
		for _, t := range s.ticked() {
			if err := out.write(Message{Tick: &t}); err != nil {
				return fmt.Errorf("telling a tick: %w", err)
			}
		}
	}
	return nil
}

// finish waits for outstanding answers and tells the reports.
func finish(streams []*stream, timeout time.Duration, out *lines) error {
	deadline := time.Now().Add(timeout)
	ticker := time.NewTicker(tickLength / 10)
	defer ticker.Stop()
	waiting := func() bool {
		for _, s := range streams {
			if s.waiting() {
				return true
			}
		}
		return false
	}
	for waiting() && time.Now().Before(deadline) {
		<-ticker.C
	}
	var reports []Report
	for _, s := range streams {
		s.mu.Lock()
		reports = append(reports, s.ledger.Reports()...)
		s.mu.Unlock()
	}
	if err := out.write(Message{Reports: reports}); err != nil {
		return fmt.Errorf("telling the reports: %w", err)
	}
	return nil
}
