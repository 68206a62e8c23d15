package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/haldir-lb/haldir/internal/metrics"
)

const (
	// webBound ends a request whose client does not.
	webBound = 10 * time.Second
	// webConnections is how many clients may be connected at once.
	webConnections = 32
	// listenAgain is the pause before an address is tried again that could not be
	// listened on.
	listenAgain = time.Second
)

// web serves metrics and status by HTTP, wherever the configuration says. That an
// address is not to be had is a problem that is shown, and nothing else.
type web struct {
	mu      sync.Mutex
	address netip.AddrPort // guarded by mu: where to listen; zero: nowhere
	problem string         // guarded by mu
	wake    chan struct{}
}

func newWeb() *web { return &web{wake: make(chan struct{}, 1)} }

// set moves it to another address, or to none.
func (w *web) set(address netip.AddrPort) {
	w.mu.Lock()
	w.address = address
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *web) trouble() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

func (w *web) want() netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.address
}

func (w *web) say(log *slog.Logger, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := ""
	if err != nil {
		text = fmt.Sprintf("metrics cannot be read: %v", err)
		if text != w.problem {
			log.Error("serving metrics; trying again", "error", err)
		}
	}
	w.problem = text
}

// run serves until ctx ends.
func (w *web) run(ctx context.Context, d *Director) {
	for ctx.Err() == nil {
		at := w.want()
		again := (<-chan time.Time)(nil)
		if at.IsValid() {
			if listener, err := net.Listen("tcp", at.String()); err != nil {
				w.say(d.Log, err)
				again = time.After(listenAgain)
			} else {
				w.say(d.Log, nil)
				w.serve(ctx, listener, d)
				continue
			}
		} else {
			w.say(d.Log, nil)
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-w.wake:
		}
	}
}

// serve answers on a listener until ctx ends or another address is wanted.
func (w *web) serve(ctx context.Context, listener net.Listener, d *Director) {
	at := w.want()
	server := &http.Server{
		Handler:           metrics.Handler(d.Status),
		ReadHeaderTimeout: webBound,
		ReadTimeout:       webBound,
		WriteTimeout:      2 * webBound,
		IdleTimeout:       6 * webBound,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, webConnections)) }()
	for {
		select {
		case err := <-ended:
			if !errors.Is(err, http.ErrServerClosed) {
				w.say(d.Log, err)
			}
			return
		case <-w.wake:
			if w.want() == at {
				continue
			}
		case <-ctx.Done():
		}
		_ = server.Close()
		<-ended
		return
	}
}
