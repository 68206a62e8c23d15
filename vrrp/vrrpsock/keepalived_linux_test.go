package vrrpsock_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/vrrp"
)

// needKeepalived skips the test where the daemon is not installed, or fails it
// where it is required.
func needKeepalived(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("keepalived")
	if err == nil {
		return path
	}
	if path = "/usr/sbin/keepalived"; exec.Command(path, "--version").Run() == nil {
		return path
	}
	if testenv.Required("keepalived") {
		tb.Fatalf("keepalived is required here: %v", err)
	}
	tb.Skipf("needs keepalived: %v", err)
	return ""
}

// keepalived is a running daemon, VRRP only.
type keepalived struct {
	*host
	cfg  vrrp.RouterConfig
	cmd  *exec.Cmd
	dir  string
	mu   sync.Mutex // guards log
	log  bytes.Buffer
	done chan struct{}
}

func (k *keepalived) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.Write(b)
}

func (k *keepalived) text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.log.String()
}

// keepalived starts the daemon as the peer of a haldir that is configured as cfg
// says, with another priority.
func (h *host) keepalived(cfg vrrp.RouterConfig, priority uint8) *keepalived {
	h.Helper()
	k := &keepalived{host: h, cfg: cfg, dir: h.TempDir(), done: make(chan struct{})}
	conf := filepath.Join(k.dir, "keepalived.conf")
	if err := os.WriteFile(conf, keepalivedConf(cfg, priority), 0o644); err != nil {
		h.Fatal(err)
	}
	k.cmd = exec.Command(needKeepalived(h.TB), "-n", "-l", "-P", "-D", "-f", conf,
		"-p", filepath.Join(k.dir, "pid"), "-r", filepath.Join(k.dir, "vrrp.pid"))
	k.cmd.Stdout, k.cmd.Stderr = k, k
	var err error
	h.ns.Do(h.TB, func() { err = k.cmd.Start() })
	if err != nil {
		h.Fatal(err)
	}
	go func() {
		_ = k.cmd.Wait() // it ends by a signal
		close(k.done)
	}()
	h.Cleanup(func() {
		k.terminate()
		if h.Failed() {
			h.Logf("keepalived's log:\n%s", k.text())
		}
	})
	return k
}

// terminate stops it the planned way, with an advert of priority 0.
func (k *keepalived) terminate() {
	k.Helper()
	_ = k.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	k.ended()
}

// kill ends it without a word: the parent is stopped first, lest it tells its
// child or starts another one.
func (k *keepalived) kill() {
	k.Helper()
	text, err := os.ReadFile(filepath.Join(k.dir, "vrrp.pid"))
	if err != nil {
		k.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || child <= 1 {
		k.Fatalf("process id in %q: %v", text, err)
	}
	k.must(k.cmd.Process.Signal(syscall.SIGSTOP))
	k.must(syscall.Kill(child, syscall.SIGKILL))
	k.must(k.cmd.Process.Kill())
	k.ended()
}

func (k *keepalived) ended() {
	k.Helper()
	select {
	case <-k.done:
	case <-time.After(10 * time.Second):
		k.Fatal("keepalived does not end")
	}
}

// awaitRole waits until keepalived holds the virtual address, or does not.
func (k *keepalived) awaitRole(master bool) {
	k.Helper()
	eventually(k.TB, fmt.Sprintf("keepalived to be master: %v", master), func() bool { return k.has(k.cfg.Addresses[0]) == master })
}
