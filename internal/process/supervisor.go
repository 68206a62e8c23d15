package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ErrCrashLoop is returned by Run when the speaker or the director kept dying.
var ErrCrashLoop = errors.New("crash loop")

// Config is what a supervisor needs.
type Config struct {
	// Command returns the command that runs a role, without its descriptors.
	Command func(Role) *exec.Cmd
	// Cleanup takes away what an unclean end left on the host. It is called
	// after all processes have ended, and only when the director did not end
	// as asked.
	Cleanup func(context.Context) error
	// Reload delivers a value for each reload that is asked for.
	Reload <-chan os.Signal
	Log    *slog.Logger
}

// Run starts the three processes and keeps them running until ctx ends, which
// is a planned stop: the director hands over and takes its addresses away, then
// the others end. It returns ErrCrashLoop if the node could not be kept alive.
func Run(ctx context.Context, cfg Config) error { return newSupervisor(cfg).run(ctx) }

type supervisor struct {
	Config
	began        time.Time
	directorStop time.Duration
	othersStop   time.Duration
	children     map[Role]*child
	exits        chan exit
	lifeline     *os.File // the end that children read
	held         *os.File // the end whose closing tells them
	sockets      map[Role]map[Role]*os.File
	director     *Conn // the supervisor's own end
}

func newSupervisor(cfg Config) *supervisor {
	return &supervisor{
		Config: cfg, began: time.Now(), directorStop: directorStop, othersStop: othersStop,
		children: map[Role]*child{
			Speaker:  {Child: Child{Role: Speaker}},
			Director: {Child: Child{Role: Director}},
			Checker:  {Child: Child{Role: Checker}},
		},
		exits:   make(chan exit),
		sockets: map[Role]map[Role]*os.File{Supervisor: {}, Speaker: {}, Director: {}, Checker: {}},
	}
}

func (s *supervisor) run(ctx context.Context) error {
	defer s.close()
	if err := s.open(); err != nil {
		return err
	}
	for _, role := range []Role{Speaker, Checker, Director} {
		if err := s.start(role); err != nil {
			return errors.Join(err, s.stop())
		}
	}
	err := s.watch(ctx)
	return errors.Join(err, s.stop())
}

func (s *supervisor) open() error {
	var err error
	if s.lifeline, s.held, err = os.Pipe(); err != nil {
		return fmt.Errorf("making the lifeline: %w", err)
	}
	for _, peer := range peers[Director] {
		a, b, err := socketPair(fmt.Sprintf("director-%s", peer))
		if err != nil {
			return fmt.Errorf("connecting director and %s: %w", peer, err)
		}
		s.sockets[Director][peer], s.sockets[peer][Director] = a, b
	}
	s.director, err = NewConn(s.sockets[Supervisor][Director], s.Log)
	return err
}

func (s *supervisor) close() {
	if s.director != nil {
		_ = s.director.Close()
	}
	_ = s.held.Close()
	_ = s.lifeline.Close()
	for _, ends := range s.sockets {
		for _, f := range ends {
			_ = f.Close()
		}
	}
}

// tell sends the state of all children to the director.
func (s *supervisor) tell() {
	state := Children{Supervisor: os.Getpid(), Since: s.began}
	for _, role := range []Role{Speaker, Director, Checker} {
		state.Children = append(state.Children, s.children[role].Child)
	}
	if err := s.director.Send(KindChildren, "", state); err != nil {
		s.Log.Warn("telling the director about its siblings", "error", err)
	}
}

// watch restarts what dies until ctx ends or a crash loop is found.
func (s *supervisor) watch(ctx context.Context) error {
	messages := s.director.Receive()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-s.Reload:
			s.signal(Director, syscall.SIGHUP)
		case m, ok := <-messages:
			if !ok {
				messages = nil
			} else if m.Kind == KindHello {
				s.tell()
			}
		case e := <-s.exits:
			err = s.restart(s.children[e.role], s.buried(e))
		case <-s.children[Speaker].retry:
			err = s.again(Speaker)
		case <-s.children[Director].retry:
			err = s.again(Director)
		case <-s.children[Checker].retry:
			err = s.again(Checker)
		}
		if err != nil {
			return err
		}
	}
}
