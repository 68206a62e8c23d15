package process

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Role names a process of a node.
type Role string

// The processes of a node. Supervisor is the parent of the others.
const (
	Supervisor Role = "supervisor"
	Speaker    Role = "speaker"
	Director   Role = "director"
	Checker    Role = "checker"
)

// firstDescriptor is where inherited descriptors start in a child: the
// lifeline, then one per peer in the order of peers.
const firstDescriptor = 3

// peers lists whom each role has a link to.
var peers = map[Role][]Role{
	Speaker:  {Director},
	Director: {Supervisor, Speaker, Checker},
	Checker:  {Director},
}

// roleVariable tells a child its role, which it checks: descriptors that were
// not meant for it must not be taken for links.
const roleVariable = "HALDIR_ROLE"

// ErrNotInherited is returned by Inherit in a process that no supervisor started
// in that role.
var ErrNotInherited = errors.New("this command is started by haldir run, not by hand")

// Inherited is what a child finds at its start.
type Inherited struct {
	// Orphaned is closed when the supervisor is gone.
	Orphaned <-chan struct{}
	// Links has a link for each peer of the role.
	Links map[Role]*Conn
}

// Inherit opens the descriptors that a child of role was started with.
func Inherit(role Role, log *slog.Logger) (*Inherited, error) {
	if os.Getenv(roleVariable) != string(role) {
		return nil, fmt.Errorf("inheriting the links of the %s: %w", role, ErrNotInherited)
	}
	orphaned := make(chan struct{})
	in := &Inherited{Orphaned: orphaned, Links: make(map[Role]*Conn)}
	for i, peer := range peers[role] {
		fd := uintptr(firstDescriptor + 1 + i)
		conn, err := NewConn(os.NewFile(fd, fmt.Sprintf("%d (%s)", fd, peer)), log)
		if err != nil {
			in.Close()
			return nil, fmt.Errorf("inheriting the link to the %s: %w", peer, err)
		}
		in.Links[peer] = conn
	}
	lifeline := os.NewFile(firstDescriptor, "lifeline")
	go func() {
		// Nothing is ever written: the read ends with the supervisor.
		_, _ = lifeline.Read(make([]byte, 1))
		close(orphaned)
	}()
	return in, nil
}

// Close ends the links.
func (in *Inherited) Close() {
	for _, l := range in.Links {
		_ = l.Close()
	}
}
