package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// TestEveryWayToReceiveOnOneRealServerAtOnce has the same two real servers hold the
// address, redirect what is sent to it, and take it out of three kinds of tunnels.
func TestEveryWayToReceiveOnOneRealServerAtOnce(t *testing.T) {
	testenv.IPVS(t)
	if out, err := exec.Command("modprobe", "fou").CombinedOutput(); err != nil {
		t.Fatalf("loading fou: %v: %s", err, out)
	}
	ways := []struct {
		keys   string
		port   uint16 // of the service
		listen uint16 // of the real servers
	}{
		{`forward = "dr"`, 8101, 8101},
		{`receive = "redirect"`, 8102, 9102},
		{`forward = "tun"`, 8103, 8103},
		{"forward = \"tun\"\ntunnel = { type = \"gue\", port = 6080 }", 8104, 8104},
		{"forward = \"tun\"\ntunnel = { type = \"gre\" }", 8105, 8105},
	}
	spec := forwarded(ForwardDR)
	var extra strings.Builder
	for i, way := range ways {
		fmt.Fprintf(&extra, "[[service]]\nname = \"way-%d\"\nlisten = [\"%s:%d\"]\nscheduler = \"rr\"\n%s\n", i, spec.VIP(), way.port, way.keys)
		for i := range spec.Lab.RealServers {
			at := host(ipv4.segment, hostReal+i).String()
			if way.listen != way.port {
				at = fmt.Sprintf("%s:%d", at, way.listen)
			}
			fmt.Fprintf(&extra, "[[service.real]]\naddress = %q\n", at)
		}
	}
	spec.Lab.Extra = extra.String()

	c := newCluster(t, spec, Options{Haldir: haldirBinary(t)})
	ctx := bound(t, patience)
	for _, n := range c.Nodes(KindReal) {
		for _, way := range ways {
			answer(t, n, way.listen)
		}
	}
	if err := c.StartServers(ctx); err != nil {
		t.Fatal(err)
	}
	d1 := c.Node("d1")
	if err := d1.StartDirector(); err != nil {
		t.Fatal(err)
	}
	if _, err := d1.AwaitState(ctx, "master"); err != nil {
		t.Fatal(err)
	}
	if err := d1.AwaitPool(ctx, spec.pool()); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.Nodes(KindReal) {
		if err := n.VerifyRealServer(ctx); err != nil {
			t.Error(err)
		}
	}
	for _, way := range ways {
		heard := map[string]bool{}
		err := Await(bound(t, patience), "an answer of both by "+way.keys, func(context.Context) error {
			name, err := request(c.Node(Client), netip.AddrPortFrom(spec.VIP(), way.port))
			heard[name] = true
			if err == nil && !(heard["rs1"] && heard["rs2"]) {
				err = errors.New("one has not answered yet")
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// answer has a node answer each connection to a port with its name.
func answer(t *testing.T, n *Node, port uint16) {
	t.Helper()
	var listener net.Listener
	err := n.Do(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, n.Name)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
}

// request connects from a node and returns who answers.
func request(n *Node, to netip.AddrPort) (string, error) {
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp4", to.String(), 5*time.Second)
		return err
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	name, err := io.ReadAll(conn)
	return string(name), err
}
