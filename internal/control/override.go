package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Override is what an operator said of one real server. It holds until the
// opposite is said, over restarts and reloads.
type Override struct {
	// What is drain, disable or weight.
	What string `json:"what"`
	// Weight replaces the configured weight; with weight only.
	Weight uint32    `json:"weight,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	// Until is when a drain ends although there are connections left; zero is
	// never. With drain only.
	Until time.Time `json:"until,omitzero"`
	// Ended is when a drain ended and the server was taken out, Left how many
	// connections it had then.
	Ended time.Time `json:"ended,omitzero"`
	Left  uint32    `json:"left,omitempty"`
}

// String says what the override does, without who and when.
func (o Override) String() string {
	switch {
	case o.What == OverrideWeight:
		return fmt.Sprintf("weight %d", o.Weight)
	case o.What == OverrideDrain && !o.Ended.IsZero():
		return "drained"
	case o.What == OverrideDrain:
		return "draining"
	}
	return "disabled"
}

// What an override does.
const (
	OverrideDrain   = "drain"   // no new connections, out when the old ones have ended
	OverrideDisable = "disable" // out at once
	OverrideWeight  = "weight"  // another weight
)

// Order asks for an override of one real server, or for its end.
type Order struct {
	Service string `json:"service"`
	// Real is the real server's address, with the port where the configuration
	// has one.
	Real string `json:"real"`
	// Action is drain, undrain, disable, enable, weight, or configured, which
	// ends an override of the weight.
	Action string `json:"action"`
	Weight uint32 `json:"weight,omitempty"`
	// Timeout bounds a drain, in milliseconds; 0 is the service's own bound,
	// below 0 none.
	Timeout Milliseconds `json:"timeout_ms,omitempty"`
	Reason  string       `json:"reason,omitempty"`
}

// Server is one real server of a service over all its listeners, as the kernel
// has it.
type Server struct {
	Service   string     `json:"service"`
	Real      string     `json:"real"`
	Overrides []Override `json:"overrides"`
	// Changed says whether the order changed anything; with the answer to one.
	Changed bool `json:"changed"`
	// Loaded is on how many listeners the kernel has an entry of the server, of
	// Listeners.
	Loaded    int `json:"loaded"`
	Listeners int `json:"listeners"`
	// Weight is the highest of its weights there.
	Weight   uint32 `json:"weight"`
	Active   uint32 `json:"active_connections"`
	Inactive uint32 `json:"inactive_connections"`
	// Master says whether this node has the address of the service: only then do
	// its connections pass here.
	Master bool      `json:"master"`
	At     time.Time `json:"at"`
}

// Draining returns the drain that is under way or has ended; nil is none.
func (s Server) Draining() *Override {
	for i := range s.Overrides {
		if s.Overrides[i].What == OverrideDrain {
			return &s.Overrides[i]
		}
	}
	return nil
}

// Order asks the daemon for an override.
func (c *Client) Order(ctx context.Context, order Order) (Server, error) {
	var s Server
	return s, c.do(ctx, http.MethodPost, "order", order, &s)
}

// Server asks the daemon for one real server.
func (c *Client) Server(ctx context.Context, service, real string) (Server, error) {
	var s Server
	query := url.Values{"service": {service}, "real": {real}}
	return s, c.do(ctx, http.MethodGet, "server?"+query.Encode(), nil, &s)
}
