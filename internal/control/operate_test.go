package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operator answers with what it was asked.
type operator struct{ err error }

func (o operator) Failover(_ context.Context, r FailoverRequest) (FailoverResult, error) {
	return FailoverResult{Refused: fmt.Sprint(r.Routers)}, o.err
}

func (o operator) Maintenance(_ context.Context, r MaintenanceRequest) (MaintenanceResult, error) {
	return MaintenanceResult{Done: r.On, Refused: r.Reason}, o.err
}

func (o operator) Order(_ context.Context, order Order) (Server, error) {
	return Server{Service: order.Service, Real: order.Real, Weight: order.Weight}, o.err
}

func (o operator) Zero(_ context.Context, r ZeroRequest) (ZeroResult, error) {
	return ZeroResult{Services: []ZeroedService{{Service: r.Service}}}, o.err
}

func (o operator) Checks(_ context.Context, real string) (ChecksReport, error) {
	return ChecksReport{Unknown: real}, o.err
}

func (o operator) Server(_ context.Context, service, real string) (Server, error) {
	return Server{Service: service, Real: real}, o.err
}

func TestOperatorRequestsArriveAsTheyAre(t *testing.T) {
	b := node("lvs1")
	b.Operator = operator{}
	path, _ := serve(t, b)
	failover, err := NewClient(path).Failover(t.Context(), FailoverRequest{Routers: []string{"a", "b"}})
	if diff := cmp.Diff(FailoverResult{Refused: "[a b]"}, failover); diff != "" || err != nil {
		t.Errorf("%v, result (-want +got):\n%s", err, diff)
	}
	maintenance, err := NewClient(path).Maintenance(t.Context(), MaintenanceRequest{On: true, Reason: "disk"})
	if diff := cmp.Diff(MaintenanceResult{Done: true, Refused: "disk"}, maintenance); diff != "" || err != nil {
		t.Errorf("%v, result (-want +got):\n%s", err, diff)
	}
	ordered, err := NewClient(path).Order(t.Context(), Order{Service: "web", Real: "192.0.2.11", Action: "weight", Weight: 7})
	if diff := cmp.Diff(Server{Service: "web", Real: "192.0.2.11", Weight: 7}, ordered); diff != "" || err != nil {
		t.Errorf("%v, server (-want +got):\n%s", err, diff)
	}
	zeroed, err := NewClient(path).Zero(t.Context(), ZeroRequest{Service: "web"})
	if diff := cmp.Diff(ZeroResult{Services: []ZeroedService{{Service: "web"}}}, zeroed); diff != "" || err != nil {
		t.Errorf("%v, zeroed (-want +got):\n%s", err, diff)
	}
	server, err := NewClient(path).Server(t.Context(), "a b&c", "[2001:db8::1]:80")
	if diff := cmp.Diff(Server{Service: "a b&c", Real: "[2001:db8::1]:80"}, server); diff != "" || err != nil {
		t.Errorf("%v, server (-want +got):\n%s", err, diff)
	}
	checks, err := NewClient(path).Checks(t.Context(), "[2001:db8::1]:80")
	if diff := cmp.Diff(ChecksReport{Unknown: "[2001:db8::1]:80"}, checks); diff != "" || err != nil {
		t.Errorf("%v, checks (-want +got):\n%s", err, diff)
	}
}

func TestRequestsThatMakeNoSenseAreTold(t *testing.T) {
	b := node("lvs1")
	b.Operator = operator{err: fmt.Errorf("%w: no such router", ErrInvalid)}
	path, _ := serve(t, b)
	_, err := NewClient(path).Failover(t.Context(), FailoverRequest{})
	if !errors.Is(err, ErrInvalid) || err.Error() != "invalid request: no such router" {
		t.Errorf("err = %v, want what the daemon said", err)
	}
	for _, body := range []string{"", "{", `{"colour":"red"}`, `{"routers":"` + strings.Repeat("x", maxRequest) + `"}`} {
		status, _, answer := ask(t, path, http.MethodPost, "/v1/failover", body)
		if status != http.StatusBadRequest || !strings.Contains(answer, `{"error":"invalid request: `) {
			t.Errorf("for %.20q: %d %q, want %d and why", body, status, answer, http.StatusBadRequest)
		}
	}
}
