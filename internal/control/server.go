package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Backend answers the API's requests. Its methods may be called by many
// goroutines at once.
type Backend interface {
	// Status reads the truth from kernel and wire.
	Status(ctx context.Context) (Status, error)
	// Reload reads the configuration again and applies the difference. A
	// refused file is no error: the result says so.
	Reload(ctx context.Context) (ReloadResult, error)
	Operator
	Journal
}

// Operator does what a person asks of the node. CallerOf tells who asks.
type Operator interface {
	// Failover hands mastership over without losing a packet, and waits until
	// that is done. A hand-over that nobody took is no error: the result says so.
	Failover(ctx context.Context, request FailoverRequest) (FailoverResult, error)
	// Maintenance switches it on or off, and waits until that is done.
	Maintenance(ctx context.Context, request MaintenanceRequest) (MaintenanceResult, error)
	// Checks tells what is checked of a real server, an address with or without a
	// port, with the recent results.
	Checks(ctx context.Context, real string) (ChecksReport, error)
	// Order overrides the configuration of a real server, and returns the server
	// once the kernel has followed. An error says what was not done.
	Order(ctx context.Context, order Order) (Server, error)
	// Zero sets the counters of one service, or of all, to 0.
	Zero(ctx context.Context, request ZeroRequest) (ZeroResult, error)
	// Server reads one real server from the kernel.
	Server(ctx context.Context, service, real string) (Server, error)
}

// SocketName is the name of the API socket in the run directory.
const SocketName = "haldir.sock"

const (
	// requestBound ends a request whose client does not.
	requestBound = 30 * time.Second
	// HandoverBound is how long a request may take that waits for hand-overs: at
	// the longest interval three of them, a second, and what follows.
	HandoverBound = 150 * time.Second
	// maxRequest bounds the body of a request, in bytes.
	maxRequest = 64 << 10
	// stopBound is how long requests in flight may take when serving ends.
	stopBound = time.Second
	dialBound = time.Second
)

// Listen opens the API's Unix socket, readable and writable by its owner and
// group. A socket file that nobody answers on is replaced; one that is in use,
// and any other kind of file, is an error.
func Listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the API socket: %w", err)
	}
	if err := removeAbandoned(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the API socket: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(fmt.Errorf("restricting the API socket: %w", err), listener.Close())
	}
	return listener, nil
}

// removeAbandoned makes room for a new socket at path.
func removeAbandoned(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("looking for an earlier API socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listening on %s: what is there is no socket: %w", path, fs.ErrExist)
	}
	conn, err := net.DialTimeout("unix", path, dialBound)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("listening on %s: another haldir answers there: %w", path, fs.ErrExist)
	case !abandoned(err):
		return fmt.Errorf("finding out whether somebody listens on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the abandoned API socket: %w", err)
	}
	return nil
}

// Serve answers requests on listener until ctx ends.
func Serve(ctx context.Context, listener net.Listener, backend Backend, log *slog.Logger) error {
	mux := routes(backend, log)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: requestBound,
		ReadTimeout:       requestBound,
		WriteTimeout:      2 * requestBound,
		IdleTimeout:       requestBound,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext:       withCaller,
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopBound)
		defer cancel()
		if err := server.Shutdown(bound); err != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if !stop() {
		<-stopped
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	_ = server.Close()
	return fmt.Errorf("serving the API: %w", err)
}

// failure is the body of an answer that is no success.
type failure struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, log *slog.Logger, body any, err error) {
	switch {
	case errors.Is(err, ErrInvalid):
		refuse(w, http.StatusBadRequest, err.Error())
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		log.Error("encoding the answer to an API request", "error", err)
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, http.StatusOK, data)
}

func refuse(w http.ResponseWriter, status int, message string) {
	data, _ := json.Marshal(failure{message}) // a string has no error
	write(w, status, data)
}

// write ignores the error of a client that went away.
func write(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
