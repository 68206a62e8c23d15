// Package speaker is the process that speaks VRRP: it drives a vrrp.Speaker by
// the director's messages and tells the director about transitions. It owns no
// address and no table, and it waits for nobody.
package speaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/vrrp"
)

// orphanGrace is how long a speaker whose supervisor vanished leaves the
// director the time to hand over in order.
const orphanGrace = 5 * time.Second

// Run speaks until ctx ends, which makes every master hand over first. A
// closed orphaned means that the supervisor is gone: the director ends the
// node; if it does not, or is gone as well, the speaker hands over by itself.
func Run(ctx context.Context, director process.Link, network vrrp.Network, orphaned <-chan struct{}, log *slog.Logger) error {
	s := &server{director: director, log: log}
	s.speaker = vrrp.NewSpeaker(network, s.transition, log)

	loop, stopLoop := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoop()
	ended := make(chan error, 1)
	go func() { ended <- s.speaker.Run(loop) }()
	leave := func() error {
		err := s.shutdown()
		stopLoop()
		return errors.Join(err, <-ended)
	}

	s.send(process.KindHello, process.NewHello())
	var grace <-chan time.Time
	for {
		// Who has handed over for good is of no use to a director that begins.
		over := s.handedOver
		if !s.followed {
			over = nil
		}
		select {
		case <-over:
			stopLoop()
			return errors.Join(errFollowed, <-ended)
		case <-ctx.Done():
			return leave()
		case err := <-ended:
			return err
		case <-orphaned:
			orphaned, grace = nil, time.After(orphanGrace)
		case <-grace:
			log.Error("the supervisor is gone and the director did not end the node: handing over")
			return leave()
		case m, ok := <-director.Receive():
			if !ok {
				// The supervisor keeps the link open through a director's death.
				log.Error("supervisor and director are gone: handing over")
				return errors.Join(fmt.Errorf("receiving from the director: %w", process.ErrClosed), leave())
			}
			if err := s.handle(loop, m); err != nil {
				log.Warn("message from the director refused", "kind", m.Kind, "error", err)
			}
		}
	}
}

// errFollowed ends a speaker that has stopped for one director and is spoken to
// by the next: its successor starts from nothing.
var errFollowed = errors.New("the director that had this speaker stop was followed by another")

type server struct {
	speaker    *vrrp.Speaker
	handedOver chan struct{} // closed when a shutdown has ended; nil before one is asked for
	followed   bool          // by another director since
	director   process.Link
	configured bool
	log        *slog.Logger
}

func (s *server) handle(ctx context.Context, m process.Message) error {
	switch m.Kind {
	case process.KindHello:
		s.followed = s.handedOver != nil
		return s.state(ctx, KindState, 0)
	case KindConfigure:
		var c Configure
		if err := m.Decode(&c); err != nil {
			return err
		}
		for _, name := range c.Down {
			s.speaker.Link(name, false)
		}
		s.speaker.Set(c.Routers, c.Resume)
		s.configured = true
	case KindLink:
		var l Link
		if err := m.Decode(&l); err != nil {
			return err
		}
		s.speaker.Link(l.Interface, l.Up)
	case KindHandover:
		var h Handover
		if err := m.Decode(&h); err != nil {
			return err
		}
		s.speaker.Handover(h.Routers)
	case KindStanding:
		var st Standing
		if err := m.Decode(&st); err != nil {
			return err
		}
		s.speaker.Standing(st.Router, st.Priority, st.Ineligible)
	case KindStatusRequest:
		var r StatusRequest
		if err := m.Decode(&r); err != nil {
			return err
		}
		return s.state(ctx, KindStatus, r.ID)
	case KindShutdown:
		if s.handedOver != nil {
			return nil
		}
		s.handedOver = make(chan struct{})
		go func() {
			defer close(s.handedOver)
			if err := s.shutdown(); err != nil {
				s.log.Warn("handing over", "error", err)
			}
			s.send(KindStopped, struct{}{})
		}()
	default:
		return fmt.Errorf("unknown kind %q", m.Kind)
	}
	return nil
}

// shutdown is bounded by the machines' own bound on a hand-over.
func (s *server) shutdown() error { return s.speaker.Shutdown(context.Background()) }

func (s *server) state(ctx context.Context, kind string, id uint64) error {
	routers, err := s.speaker.Status(ctx)
	if err != nil {
		return fmt.Errorf("reading the routers' state: %w", err)
	}
	lateness, err := s.speaker.Lateness(ctx)
	if err != nil {
		return err
	}
	s.send(kind, State{ID: id, At: time.Now(), Configured: s.configured, Routers: routers, Lateness: lateness})
	return nil
}

// transition tells of a change of state, and of news about a state that goes on, which
// does not replace the change.
func (s *server) transition(t vrrp.Transition) {
	key := t.Router
	if t.From == t.To {
		key += " " + t.To.String()
	}
	if err := s.director.Send(KindTransition, key, t); err != nil {
		s.log.Warn("telling the director about a transition", "router", t.Router, "error", err)
	}
}

func (s *server) send(kind string, body any) {
	if err := s.director.Send(kind, "", body); err != nil {
		s.log.Warn("telling the director", "kind", kind, "error", err)
	}
}
