package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/director"
)

// probed is a configuration whose real server is checked at a port of this host.
func probed(t *testing.T, port int, more string) string {
	t.Helper()
	return write(t, router+fmt.Sprintf(`
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
[[service.real]]
address = "192.0.2.11"
weight = 3
[service.real.check]
address = "127.0.0.1"
port = %d
%s`, port, more))
}

func listening(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestProbeSaysWhoWouldBeInThePool(t *testing.T) {
	port := listening(t)
	good := probed(t, port, "")
	status, stdout, stderr := haldir("check", "--probe", "-c", good, "--node", "lvs1")
	if status != exitDone || !strings.Contains(stdout, "192.0.2.11:80  in  weight 3  connected in ") {
		t.Errorf("status %d, output:\n%s%s", status, stdout, stderr)
	}
	bad := probed(t, port, `
[[service.real]]
address = "192.0.2.12"
[service.real.check]
address = "127.0.0.2" # where nobody listens
`)
	status, stdout, stderr = haldir("check", "--probe", "-c", bad, "--node", "lvs1")
	if status != exitProblem || !strings.Contains(stdout, "192.0.2.12:80  out  weight 1  connection refused") {
		t.Errorf("status %d, output:\n%s%s", status, stdout, stderr)
	}
	status, stdout, _ = haldir("check", "--probe", "-c", bad, "--node", "lvs1", "--json")
	var report checkReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != exitProblem || len(report.Pools) != 2 {
		t.Fatalf("status %d, %v, output:\n%s", status, err, stdout)
	}
	if c := report.Pools[1]; c.Health != healthcheck.Down || c.Checks[0].Reason != "connection refused" || c.Real.String() != "192.0.2.12:80" {
		t.Errorf("the second candidate is %+v", c)
	}
}

func TestProbeLeavesWhatOnlyADirectorCanCheck(t *testing.T) {
	path := write(t, router+`
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
real = [{ address = "192.0.2.11" }]
[service.check]
via = "vip"
`)
	status, stdout, _ := haldir("check", "--probe", "-c", path, "--node", "lvs1")
	if status != exitProblem || !strings.Contains(stdout, "unknown  weight 1  check cannot be made, it goes through the IPVS of a running director") {
		t.Errorf("status %d, output:\n%s", status, stdout)
	}
}

func TestPrintPools(t *testing.T) {
	at := netip.MustParseAddrPort
	candidates := []director.Candidate{
		{Service: "web", Listen: at("192.0.2.100:80"), Real: at("192.0.2.11:80"), Health: healthcheck.Up, Weight: 2, Checks: []director.CandidateCheck{
			{Target: "a", Health: healthcheck.Up, Reason: "answered as expected", Detail: "50%", Duration: 1230 * time.Microsecond},
			{Target: "b", Health: healthcheck.Up, Reason: "certificate expires soon", Detail: "in 3h", Warning: true},
		}},
		{Service: "web", Listen: at("192.0.2.100:80"), Real: at("192.0.2.12:80"), Health: healthcheck.Unknown, Weight: 1, Checks: []director.CandidateCheck{
			{Target: "c", Health: healthcheck.Unknown, Reason: "out of resources"},
		}},
		{Service: "dns", Listen: at("192.0.2.100:53"), Real: at("192.0.2.13:53"), Weight: 1},
	}
	want := `
service "web" at 192.0.2.100:80
  192.0.2.11:80  in       weight 2  a: answered as expected, 50% in 1.23ms; warning: b: certificate expires soon, in 3h
  192.0.2.12:80  unknown  weight 1  out of resources

service "dns" at 192.0.2.100:53
  192.0.2.13:53  in  weight 1  not checked
`
	var got strings.Builder
	printPools(&got, candidates, palette(false))
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestProgressIsToldNowAndThen(t *testing.T) {
	var out bytes.Buffer
	p := newTally(&out, 3)
	p.one(false, p.told)
	p.one(true, p.told.Add(8*progressEvery))
	p.one(false, p.told.Add(time.Millisecond))
	p.end()
	if got, want := out.String(), "2 of 3 checks done, 1 failed\n"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
