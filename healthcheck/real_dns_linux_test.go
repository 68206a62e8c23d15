package healthcheck

import (
	"net/netip"
	"testing"
	"time"
)

// TestDNSAgainstUnbound asks a real server.
func TestDNSAgainstUnbound(t *testing.T) {
	address := unbound(t)
	for _, tcp := range []bool{false, true} {
		spec := DNS{Name: "www.haldir.example", Record: "A", Expect: []string{"192.0.2.7"}, TCP: tcp}
		want(t, probe(t, spec, address, 2*time.Second), Pass, ReasonAnswered, "")
		spec.Expect = []string{"192.0.2.8"}
		want(t, probe(t, spec, address, 2*time.Second), Fail, ReasonUnexpected, "192.0.2.7")
		want(t, probe(t, DNS{Name: "no.haldir.example", TCP: tcp}, address, 2*time.Second), Fail, ReasonUnexpected, "NXDOMAIN")
	}
}

func unbound(t *testing.T) netip.AddrPort {
	address := freePort(t)
	config := file(t, "unbound.conf", `server:
  interface: 127.0.0.1@`+portOf(address)+`
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "`+t.TempDir()+`"
  pidfile: ""
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "haldir.example." static
  local-data: "www.haldir.example. A 192.0.2.7"
remote-control:
  control-enable: no
`)
	serve(t, address, "unbound", "-d", "-c", config)
	return address
}
