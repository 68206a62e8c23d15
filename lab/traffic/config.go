package traffic

import (
	"net/netip"
	"time"
)

// ClientConfig is what a client does: each of these is a stream, at most one of a
// protocol and family.
type ClientConfig struct {
	UDP []UDPConfig `json:"udp"`
	TCP []TCPConfig `json:"tcp"`
	// Timeout is how long an answer may take.
	Timeout time.Duration `json:"timeout"`
}

// StreamName is what the accounts call the requests of a protocol to a target:
// "udp", "tcp", "udp6", "tcp6".
func StreamName(protocol string, target netip.Addr) string {
	if target.Is6() {
		return protocol + "6"
	}
	return protocol
}

// UDPConfig is a stream of UDP requests. Each is a flow of its own, from an
// address and port that come again after as many requests as there are, so that
// a balancer schedules each anew. The sources are addresses that are routed to
// this host and that its kernel does not have: it answers nothing itself.
type UDPConfig struct {
	Target    netip.AddrPort `json:"target"`
	Rate      int            `json:"rate"` // per second
	Interface string         `json:"interface"`
	Sources   netip.Prefix   `json:"sources"` // 256 addresses or more
}

// TCPConfig is a stream of connections: each is made, answered, and reset by the
// client, so that no side keeps a memory of it.
type TCPConfig struct {
	Target  netip.AddrPort `json:"target"`
	Rate    int            `json:"rate"` // per second
	Sources []netip.Addr   `json:"sources"`
}

// ServerConfig is one responder: it answers with its name on every port, by UDP and by
// TCP, on every address of its host.
type ServerConfig struct {
	Name string `json:"name"`
	// Namespace is the path of the network namespace of its host.
	Namespace string   `json:"namespace"`
	Ports     []uint16 `json:"ports"`
	// IPv6 has it answer that beside IPv4.
	IPv6 bool `json:"ipv6,omitempty"`
	// Streams are TCP ports on which a connection is answered without end.
	Streams []uint16 `json:"streams,omitempty"`
}

// Message is one line of an agent's standard output. One of the fields is set.
type Message struct {
	Ready   bool     `json:"ready,omitempty"` // the agent is at work
	Tick    *Tick    `json:"tick,omitempty"`
	Marked  string   `json:"marked,omitempty"`  // the phase that has begun
	Reports []Report `json:"reports,omitempty"` // the client's last line
	// Downloads is the state of each connection that lasts.
	Downloads []Download `json:"downloads,omitempty"`
	Started   string     `json:"started,omitempty"` // the server that answers from now on
	Stopped   string     `json:"stopped,omitempty"` // the server whose ports are closed
	// Problem says why a command was not obeyed.
	Problem string `json:"problem,omitempty"`
}

// Command is one line of an agent's standard input. Its end stops the agent.
type Command struct {
	// For a client: begin a phase; or send no more, wait for the answers, report
	// and end.
	Mark string `json:"mark,omitempty"`
	Stop bool   `json:"stop,omitempty"`
	// For the responders: begin to answer; or close a server's ports.
	Serve *ServerConfig `json:"serve,omitempty"`
	Close string        `json:"close,omitempty"`
}
