package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/testenv"
)

// heldPort is that of a service whose connections the test holds itself; those of
// markedPorts are one service by firewall mark.
const heldPort = 8001

var markedPorts = [...]int{8002, 8005}

// held is a lab with one director and a persistent service of two real servers,
// for which the third is the sorry server.
func held() Spec {
	spec := forwarded(ForwardDR)
	spec.Lab.Directors, spec.Lab.RealServers = 1, 3
	spec.Lab.Extra = fmt.Sprintf(`
[[service]]
name = "held"
listen = ["%[1]s:%[2]d"]
persistence = "5m"
sorry = "%[5]s"
drain = "10m"
[service.check]
every = "500ms"
timeout = "500ms"
rise = 1
fall = 1
[[service.real]]
address = "%[3]s"
[[service.real]]
address = "%[4]s"

[[service]]
name = "marked"
fwmark = 7
listen = ["%[1]s:%[6]d-%[7]d"]
persistence = "5m"
[[service.real]]
address = "%[3]s"
[[service.real]]
address = "%[4]s"
`, spec.VIP(), heldPort, host(ipv4.segment, hostReal), host(ipv4.segment, hostReal+1), host(ipv4.segment, hostReal+2),
		markedPorts[0], markedPorts[1]) + tableServices(spec)
	return spec
}

// greet has a node say its name to each connection, and then what it is told.
func (n *Node) greet(port int) (listener net.Listener, err error) {
	err = n.ns.do(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := fmt.Fprintf(conn, "%-8s", n.Name); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			}()
		}
	}()
	return listener, nil
}

// call connects to the service and returns the connection and who answers.
func (c *Cluster) call(port int) (conn net.Conn, by string, err error) {
	err = c.Node(Client).ns.do(func() error {
		conn, err = net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", c.Spec.VIP(), port), 3*time.Second)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	name := make([]byte, 8)
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err = io.ReadFull(conn, name); err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, strings.TrimSpace(string(name)), nil
}

// hangUp resets a connection, so that the director sees its end from the client
// alone.
func hangUp(conn net.Conn) error {
	return errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close())
}

// callUntil calls until somebody of whom want holds answers.
func (c *Cluster) callUntil(ctx context.Context, what string, want func(string) bool) error {
	return Await(ctx, what, func(context.Context) error {
		conn, by, err := c.call(heldPort)
		if err != nil {
			return err
		}
		if err := hangUp(conn); err != nil || want(by) {
			return err
		}
		return fmt.Errorf("%s answered", by)
	})
}

// TestPersistenceDrainAndSorryServer is one story about a pool: a client stays with
// its server, leaves it when it is drained, and is served by the sorry server when
// nobody else is left.
func TestPersistenceDrainAndSorryServer(t *testing.T) {
	testenv.IPVS(t)
	c := newCluster(t, held(), Options{Haldir: haldirBinary(t)})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := bound(t, 4*patience)
	must(c.StartServers(ctx))
	greeters := make(map[string]net.Listener) // of the held service
	for _, n := range c.Nodes(KindReal) {
		for _, port := range []int{markedPorts[0], markedPorts[1], heldPort} {
			listener, err := n.greet(port)
			must(err)
			defer func() { _ = listener.Close() }()
			greeters[n.Name] = listener
		}
	}
	d1 := c.Node("d1")
	hidden, back := hideScheduler(t)
	must(d1.StartDirector())
	_, err := d1.AwaitState(ctx, "master")
	must(err)
	order := func(words ...string) control.Server {
		t.Helper()
		out, err := d1.Haldir(ctx, append(words, "--json", "--run-dir", d1.RunDir())...)
		must(err)
		var server control.Server
		must(json.Unmarshal([]byte(out), &server))
		return server
	}

	// The client stays with one server.
	must(c.callUntil(ctx, "an answer", func(string) bool { return true }))
	first, a, err := c.call(heldPort)
	must(err)
	defer func() { _ = first.Close() }()
	if a != "rs1" && a != "rs2" {
		t.Fatalf("%s answered, want a server of the service", a)
	}
	for range 5 {
		conn, by, err := c.call(heldPort)
		must(err)
		must(hangUp(conn))
		if by != a {
			t.Fatalf("%s answered after %s, in spite of the persistence", by, a)
		}
	}
	b := map[string]string{"rs1": "rs2", "rs2": "rs1"}[a]

	// A drain keeps its connection, and nothing else.
	address := map[string]string{"rs1": host(ipv4.segment, hostReal).String(), "rs2": host(ipv4.segment, hostReal+1).String()}[a]
	server := order("drain", "held", address, "--no-wait", "--reason", "a new disk")
	if d := server.Draining(); d == nil || d.Reason != "a new disk" || d.By == "" || server.Weight != 0 || server.Active == 0 {
		t.Fatalf("after the order: %+v", server)
	}
	for range 5 {
		conn, by, err := c.call(heldPort)
		must(err)
		must(hangUp(conn))
		if by != b {
			t.Fatalf("%s answered while %s drains", by, a)
		}
	}
	_, err = fmt.Fprint(first, "still here")
	must(err)
	echo := make([]byte, len("still here"))
	_ = first.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(first, echo); err != nil || string(echo) != "still here" {
		t.Fatalf("the connection to the server that drains says %q, %v", echo, err)
	}
	table, err := d1.Haldir(ctx, "connections", "--service", "held", "--real", address, "--json", "--run-dir", d1.RunDir())
	must(err)
	if !strings.Contains(table, `"state":"ESTABLISHED"`) || strings.Contains(table, map[string]string{"rs1": "192.0.2.12", "rs2": "192.0.2.11"}[a]) {
		t.Errorf("the connections to %s are\n%s, want the one that is held and none to the other", a, table)
	}
	client := control.NewClient(filepath.Join(d1.RunDir(), control.SocketName))
	server, err = client.Server(ctx, "held", address)
	must(err)
	if d := server.Draining(); d == nil || !d.Ended.IsZero() {
		t.Fatalf("the drain is over with a connection: %+v", server)
	}
	// It ends with the last connection.
	must(hangUp(first))
	must(Await(ctx, "the end of the drain", func(ctx context.Context) error {
		server, err := client.Server(ctx, "held", address)
		switch d := server.Draining(); {
		case err != nil:
			return err
		case d == nil || d.Ended.IsZero() || server.Loaded != 0:
			return fmt.Errorf("%d active, %d inactive, loaded %d times", server.Active, server.Inactive, server.Loaded)
		case d.Left != 0:
			t.Fatalf("%d connections were cut, want none", d.Left)
		}
		return nil
	}))

	// By their mark, all ports are one service: persistence counts for both.
	_, marked, err := c.call(markedPorts[0])
	must(err)
	for i := range 6 {
		conn, by, err := c.call(markedPorts[i%2])
		must(err)
		must(hangUp(conn))
		if by != marked {
			t.Errorf("%s answered at port %d, %s at another port of the same mark", by, markedPorts[i%2], marked)
		}
	}

	// With nobody left the sorry server answers, and leaves again.
	must(greeters[b].Close())
	must(c.callUntil(ctx, "the sorry server", func(by string) bool { return by == "rs3" }))
	status, err := d1.Status(ctx)
	must(err)
	i := slices.IndexFunc(status.Services, func(s control.ServiceStatus) bool { return s.Name == "held" })
	if pool := status.Services[i].Pool; pool.State != "sorry" || pool.Up != 0 {
		t.Errorf("the pool is %+v, want the sorry server at work", pool)
	}
	if server := order("undrain", "held", address); len(server.Overrides) != 0 {
		t.Errorf("after undrain: %+v", server)
	}
	must(c.callUntil(ctx, a+" again", func(by string) bool { return by == a }))
	if out, err := d1.Haldir(ctx, "drain", "held", "192.0.2.99", "--run-dir", d1.RunDir()); err == nil {
		t.Errorf("a server that is not there was drained: %s", out)
	}
	tableStory(ctx, t, c, hidden, back)
}
