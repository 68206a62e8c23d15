package healthcheck

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// program returns the path of a server of Debian's, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		if testenv.Required(name) {
			t.Fatalf("%s is required here: %v", name, err)
		}
		t.Skipf("needs %s: %v", name, err)
	}
	return path
}

// serve runs a server until the test ends, and returns once it takes TCP
// connections at address.
func serve(t *testing.T, address netip.AddrPort, name string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(program(t, name), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		// By itself it also waits for the children it has.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, output.String())
		}
	})
	deadline := time.After(10 * time.Second)
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if conn, err := net.Dial("tcp", address.String()); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", name, err)
		case <-deadline:
			t.Fatalf("%s does not listen at %s", name, address)
		case <-retry.C:
		}
	}
}

// freePort returns an address at which nothing listens. The tests have their
// network for themselves, so it stays free.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	testenv.Root(t)
	return refusing(t)
}

func portOf(address netip.AddrPort) string { return strconv.Itoa(int(address.Port())) }

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHTTPAgainstNginx has HTTP/1.1, and HTTP/2 over TLS, by another's hand.
func TestHTTPAgainstNginx(t *testing.T) {
	plain, secure := freePort(t), freePort(t)
	now := time.Now()
	server, ca := certificate(t, now.Add(-time.Hour), now.Add(30*24*time.Hour), "www.example")
	folder := t.TempDir()
	writePair(t, folder, server)
	config := file(t, "nginx.conf", fmt.Sprintf(`daemon off; master_process off; error_log stderr; pid %[1]s/pid;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server {
    listen %[2]s; listen %[3]s ssl http2; server_name www.example;
    ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
    location = /healthz { add_header X-Proto $server_protocol; return 200 "all is well"; }
    location / { return 503; }
  }
}
`, folder, plain, secure))
	serve(t, secure, "nginx", "-e", "stderr", "-p", folder, "-c", config)
	expect := func(proto string) HTTP {
		return HTTP{Host: "www.example", Path: "/healthz", Expect: HTTPExpect{Body: "well", Headers: map[string]string{"X-Proto": proto}}}
	}
	trust := TLS{CA: authority(t, ca), ExpiryWarning: Span(time.Hour)}
	want(t, probe(t, expect("HTTP/1.1"), plain, time.Second), Pass, ReasonAnswered, "status 200")
	want(t, probe(t, HTTPS{HTTP: expect("HTTP/1.1"), TLS: trust}, secure, time.Second), Pass, ReasonAnswered, "status 200")
	want(t, probe(t, HTTPS{HTTP: expect("HTTP/2.0"), TLS: trust, HTTP2: true}, secure, time.Second), Pass, ReasonAnswered, "status 200")
	want(t, probe(t, HTTP{}, plain, time.Second), Fail, ReasonStatus, "status 503")
	want(t, probe(t, HTTPS{HTTP2: true}, secure, time.Second), Fail, ReasonCertificate, "")
	want(t, probe(t, HTTP{}, secure, time.Second), Fail, ReasonStatus, "status 400")
}
