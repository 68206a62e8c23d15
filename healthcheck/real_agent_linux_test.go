package healthcheck

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAgentWordsAsHAProxyReadsThem has HAProxy ask the same agent, and compares what
// it makes of the words with what this checker does. Each line is said to a server
// that was up with its full weight.
func TestAgentWordsAsHAProxyReadsThem(t *testing.T) {
	program(t, "haproxy")
	words := []string{"up", "ready", "75%", "up 50%", "0%", "drain", "down", "down # a disk", "fail", "stopped", "stopped 40%", "maint"}
	type asked struct {
		line  atomic.Pointer[string]
		calls atomic.Int64
	}
	for i, line := range words {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel() // it waits for HAProxy
			var say asked
			first := "ready 100% up\n"
			say.line.Store(&first)
			agent := listen(t, func(conn *net.TCPConn) {
				say.calls.Add(1)
				_, _ = io.WriteString(conn, *say.line.Load())
				_ = conn.CloseWrite()
			})
			server, proxy, socket := hostile(t, silent), freePort(t), filepath.Join(t.TempDir(), "stats")
			serve(t, proxy, "haproxy", "-db", "-f", file(t, "haproxy.cfg", fmt.Sprintf(`global
  stats socket %s mode 600 level admin
defaults
  timeout connect 1s
  timeout client 1s
  timeout server 1s
listen web
  mode tcp
  bind %s
  server one %s weight 100 check inter 100ms agent-check agent-addr %s agent-port %d agent-inter 50ms
`, socket, proxy, server, agent.Addr(), agent.Port())))
			stats := func() map[string]string {
				conn, err := net.Dial("unix", socket)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, "show stat\n"); err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(conn)
				if err != nil {
					t.Fatal(err)
				}
				rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(bytes.TrimSpace(text), []byte("# ")))).ReadAll()
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows[1:] {
					if row[1] == "one" {
						got := map[string]string{}
						for i, name := range rows[0] {
							got[name] = row[i]
						}
						return got
					}
				}
				t.Fatal("HAProxy has no such server")
				return nil
			}
			after := func(calls int64) {
				deadline := time.After(10 * time.Second)
				for say.calls.Load() < calls {
					select {
					case <-deadline:
						t.Fatalf("HAProxy asked %d times, want %d", say.calls.Load(), calls)
					case <-time.After(10 * time.Millisecond):
					}
				}
			}
			after(2)
			whole := line + "\n"
			say.line.Store(&whole)
			after(say.calls.Load() + 4) // the first may have got the line of before

			ours := judgeAgent(line)
			theirs := stats()
			drains := strings.HasPrefix(theirs["status"], "DRAIN")
			serves := drains || theirs["status"] == "UP"
			if serves != (ours.Outcome == Pass) {
				t.Errorf("%q: HAProxy has the server %s, this checker %+v", line, theirs["status"], ours)
			}
			if !serves {
				return
			}
			weight := theirs["weight"]
			if drains {
				weight = "0"
			}
			if got := fmt.Sprint(ours.Share.Of(100)); got != weight {
				t.Errorf("%q: HAProxy has weight %s, this checker %s", line, weight, got)
			}
		})
	}
}
