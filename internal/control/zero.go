package control

import (
	"context"
	"net/http"
)

// ZeroRequest asks for counters of the kernel to be set to 0.
type ZeroRequest struct {
	// Service is one service by name; empty: all of the configuration.
	Service string `json:"service,omitempty"`
}

// ZeroResult says whose counters were set to 0, at each listener.
type ZeroResult struct {
	By       Caller          `json:"by"`
	Services []ZeroedService `json:"services"`
}

// ZeroedService is one listener of a service.
type ZeroedService struct {
	Service string `json:"service"`
	Listen  string `json:"listen"`
	// Before is what the counters had come to; absent where the kernel does not have
	// the service, so that there was nothing to do.
	Before *Stats `json:"before,omitempty"`
	// Problem says why it was not done; empty if it was.
	Problem string `json:"problem,omitempty"`
}

// Zero asks the daemon to set counters to 0.
func (c *Client) Zero(ctx context.Context, request ZeroRequest) (ZeroResult, error) {
	var r ZeroResult
	return r, c.do(ctx, http.MethodPost, "zero", request, &r)
}
