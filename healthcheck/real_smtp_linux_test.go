package healthcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSMTPAgainstPostfix has a real server, with STARTTLS.
func TestSMTPAgainstPostfix(t *testing.T) {
	program(t, "postfix")
	address, folder := freePort(t), t.TempDir()
	now := time.Now()
	server, ca := certificate(t, now.Add(-time.Hour), now.Add(30*24*time.Hour), "mail.example")
	writePair(t, folder, server)
	queue, data := filepath.Join(folder, "queue"), filepath.Join(folder, "data")
	for _, dir := range []string{queue, data} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Its processes are not root, and look into what is above the queue.
	for dir := folder; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	prepare(t, "chown", "postfix", data)
	for name, text := range map[string]string{
		"main.cf": fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %s
data_directory = %s
myhostname = mail.example
mynetworks = 127.0.0.0/8
inet_protocols = ipv4
maillog_file = /dev/stdout
smtpd_tls_security_level = may
smtpd_tls_cert_file = %[3]s/cert.pem
smtpd_tls_key_file = %[3]s/key.pem
`, queue, data, folder),
		"master.cf": fmt.Sprintf(`%s inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`, address),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, address, "postfix", "-c", folder, "start-fg")
	// The server leaves the process group of who started it.
	t.Cleanup(func() { prepare(t, "postfix", "-c", folder, "abort") })
	want(t, probe(t, SMTP{}, address, 5*time.Second), Pass, ReasonAnswered, "")
	trust := TLS{CA: authority(t, ca), SNI: "mail.example", ExpiryWarning: Span(time.Hour)}
	want(t, probe(t, SMTP{StartTLS: true, TLS: trust}, address, 5*time.Second), Pass, ReasonAnswered, "")
	want(t, probe(t, SMTP{StartTLS: true}, address, 5*time.Second), Fail, ReasonCertificate, "")
}
