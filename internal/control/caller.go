package control

import (
	"context"
	"fmt"
	"net"
	"os/user"
	"strconv"
)

// Caller is who sent a request through the Unix socket, as the kernel says.
type Caller struct {
	// User is the name of the user that the client ran as; "uid 1000" where the
	// number has no name. It is empty if the kernel does not tell.
	User string `json:"user"`
	// Login is the user who logged in, where that is another one: who called
	// sudo. Empty if there is none or it cannot be read.
	Login string `json:"login,omitempty"`
}

// String says who asked, as "alice", or "root for alice" after sudo.
func (c Caller) String() string {
	switch {
	case c.User == "":
		return "unknown"
	case c.Login != "":
		return c.User + " for " + c.Login
	}
	return c.User
}

type callerKey struct{}

// CallerOf returns who sent the request that a Backend method was called for
// with ctx. In a context of anything else nobody is known.
func CallerOf(ctx context.Context) Caller {
	if identify, ok := ctx.Value(callerKey{}).(func() Caller); ok {
		return identify()
	}
	return Caller{}
}

// withCaller remembers for the requests of a connection who they come from. The
// credentials are those of the moment of the connection; names are looked up when
// somebody wants to know.
func withCaller(ctx context.Context, conn net.Conn) context.Context {
	credentials, err := peerOf(conn)
	if err != nil {
		return ctx
	}
	return WithCaller(ctx, func() Caller {
		caller := Caller{User: userName(credentials.uid)}
		if login, ok := loginOf(credentials.pid); ok && login != credentials.uid {
			caller.Login = userName(login)
		}
		return caller
	})
}

// WithCaller returns a context whose CallerOf is what identify returns.
func WithCaller(ctx context.Context, identify func() Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, identify)
}

// credentials identify the process at the other end of a Unix socket.
type credentials struct {
	pid int
	uid uint32
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %s", id)
}
