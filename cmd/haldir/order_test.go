package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
)

// scripted answers an order by the first of its servers, and each question after
// that by the next one.
type scripted struct {
	still
	servers []control.Server
	orders  *[]control.Order
	refuse  error
	asked   *int
}

func (s scripted) Order(_ context.Context, order control.Order) (control.Server, error) {
	*s.orders = append(*s.orders, order)
	if s.refuse != nil {
		return control.Server{}, s.refuse
	}
	return s.servers[0], nil
}

func (s scripted) Server(context.Context, string, string) (control.Server, error) {
	*s.asked = min(*s.asked+1, len(s.servers)-1)
	return s.servers[*s.asked], nil
}

// ordering runs a command against a daemon that answers with the given servers.
func ordering(t *testing.T, refuse error, servers []control.Server, args ...string) (status int, stdout, stderr string, orders []control.Order) {
	t.Helper()
	dir := t.TempDir()
	listener, err := control.Listen(filepath.Join(dir, control.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	backend := scripted{servers: servers, orders: &orders, refuse: refuse, asked: new(int)}
	go func() { ended <- control.Serve(ctx, listener, backend, slog.New(slog.DiscardHandler)) }()
	var out, errs bytes.Buffer
	status = run(append([]string{args[0], "--run-dir", dir}, args[1:]...), &out, &errs)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return status, out.String(), errs.String(), orders
}

func realServer(weight, active uint32, list ...control.Override) control.Server {
	return control.Server{
		Service: "web", Real: "192.0.2.11", Overrides: list, Changed: true, Master: true, Loaded: 1, Listeners: 1,
		Weight: weight, Active: active, At: time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC),
	}
}

func TestOrderCommands(t *testing.T) {
	answer := realServer(1, 2)
	for line, want := range map[string]control.Order{
		"undrain web 192.0.2.11":                      {Action: "undrain"},
		"disable web 192.0.2.11 --reason disk":        {Action: "disable", Reason: "disk"},
		"enable web 192.0.2.11":                       {Action: "enable"},
		"weight web 192.0.2.11 65535":                 {Action: "weight", Weight: 65535},
		"weight web 192.0.2.11 configured":            {Action: "configured"},
		"drain web 192.0.2.11 --no-wait --timeout 1h": {Action: "drain", Timeout: control.Of(time.Hour)},
	} {
		want.Service, want.Real = "web", "192.0.2.11"
		status, stdout, stderr, orders := ordering(t, nil, []control.Server{answer}, strings.Fields(line)...)
		if status != exitDone || !slices.Equal(orders, []control.Order{want}) {
			t.Errorf("%s: status %d, orders %+v, want %+v; %s", line, status, orders, want, stderr)
		}
		if said := "web 192.0.2.11: as configured; in the kernel with weight 1, 2 active and 0 inactive connections\n"; stdout != said {
			t.Errorf("%s: said %q, want %q", line, stdout, said)
		}
	}
}

func TestOrderCommandsThatAreWrong(t *testing.T) {
	for line, want := range map[string]string{
		"weight web 192.0.2.11 65536": `weight "65536" is neither a number from 0 to 65535 nor "configured"`,
		"weight web 192.0.2.11 -- -1": `weight "-1" is neither`,
		"weight web 192.0.2.11":       "accepts 3 arg(s), received 2",
		"drain web":                   "accepts 2 arg(s), received 1",
	} {
		status, _, stderr, orders := ordering(t, nil, nil, strings.Fields(line)...)
		if status != exitUsage || !strings.Contains(stderr, want) || len(orders) != 0 {
			t.Errorf("%s: status %d, %q, orders %v; want status %d and %q", line, status, stderr, orders, exitUsage, want)
		}
	}
	status, _, stderr, _ := ordering(t, errors.New("drain: there is no service \"web\""), nil, "drain", "web", "192.0.2.11")
	if status != exitProblem || stderr != "haldir: drain: there is no service \"web\"\n" {
		t.Errorf("refused: status %d, %q", status, stderr)
	}
}

func TestDrainCommandWaits(t *testing.T) {
	began := time.Date(2030, 1, 2, 11, 59, 0, 0, time.UTC)
	going := control.Override{What: "drain", By: "alice", At: began, Until: began.Add(5 * time.Minute)}
	over, late := going, going
	over.Ended = began.Add(90 * time.Second)
	late.Ended, late.Left = began.Add(5*time.Minute), 3
	elsewhere := realServer(0, 0, going)
	elsewhere.Master = false
	for name, test := range map[string]struct {
		servers []control.Server
		status  int
		says    string
	}{
		"ends":             {[]control.Server{realServer(0, 9, going), realServer(0, 1, going), realServer(0, 0, over)}, exitDone, "web 192.0.2.11: out after 1m30s; no connection was cut\n"},
		"deadline":         {[]control.Server{realServer(0, 9, going), realServer(0, 0, late)}, exitProblem, "web 192.0.2.11: out after 5m; 3 connections cut\n"},
		"not the master":   {[]control.Server{elsewhere}, exitDone, "web 192.0.2.11: no new connections from now on; this node does not have the address, so there are none to wait for\n"},
		"undrained by one": {[]control.Server{realServer(0, 9, going), realServer(1, 9)}, exitProblem, "haldir: the drain of web 192.0.2.11 was ended by somebody else\n"},
	} {
		status, stdout, stderr, _ := ordering(t, nil, test.servers, "drain", "web", "192.0.2.11")
		if status != test.status || stdout+stderr != test.says {
			t.Errorf("%s: status %d, said %q, want %d and %q", name, status, stdout+stderr, test.status, test.says)
		}
	}
}

func TestDescribeDrain(t *testing.T) {
	d := control.Override{What: "drain", Until: time.Date(2030, 1, 2, 12, 2, 10, 0, time.UTC)}
	for want, test := range map[string]struct {
		server control.Server
		most   uint32
	}{
		"draining web 192.0.2.11 [                    ] 8 active, 0 inactive, 2m10s left": {realServer(0, 8, d), 8},
		"draining web 192.0.2.11 [===============     ] 2 active, 0 inactive, 2m10s left": {realServer(0, 2, d), 8},
		"draining web 192.0.2.11 [====================] 0 active, 0 inactive, 2m10s left": {realServer(0, 0, d), 0},
	} {
		if got := describeDrain(test.server, d, test.most); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
