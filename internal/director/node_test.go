package director

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/script"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// mortalLink is one process's use of a link that outlives it.
type mortalLink struct {
	process.Link
	in   chan process.Message
	dead <-chan struct{}
}

func mortal(link process.Link, dead <-chan struct{}) *mortalLink {
	m := &mortalLink{Link: link, in: make(chan process.Message, cap(link.Receive())), dead: dead}
	go func() {
		for {
			select {
			case message, ok := <-link.Receive():
				if !ok {
					close(m.in)
					return
				}
				select {
				case m.in <- message:
				case <-dead:
					return
				}
			case <-dead:
				return
			}
		}
	}()
	return m
}

func (m *mortalLink) Receive() <-chan process.Message { return m.in }

func (m *mortalLink) Send(kind, key string, body any) error {
	select {
	case <-m.dead:
		return process.ErrClosed
	default:
		return m.Link.Send(kind, key, body)
	}
}

// mortalHost is one director's use of a host that outlives it.
type mortalHost struct {
	*fakeHost
	dead <-chan struct{}
}

func (h *mortalHost) alive() bool {
	select {
	case <-h.dead:
		return false
	default:
		return true
	}
}

func (h *mortalHost) SetAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error) {
	if !h.alive() {
		return netif.AddressResult{}, errTest
	}
	return h.fakeHost.SetAddresses(ctx, desired)
}

func (h *mortalHost) PrepareLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	if !h.alive() {
		return netif.VirtualLinkResult{}, errTest
	}
	return h.fakeHost.PrepareLinks(ctx, desired)
}

func (h *mortalHost) RaiseLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	if !h.alive() {
		return netif.VirtualLinkResult{}, errTest
	}
	return h.fakeHost.RaiseLinks(ctx, desired)
}

func (h *mortalHost) SetTable(ctx context.Context, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	if !h.alive() {
		return ipvsctl.Result{}, errTest
	}
	return h.fakeHost.SetTable(ctx, desired, owned)
}

func (h *mortalHost) SetServices(ctx context.Context, desired ipvsctl.Table, keys []ipvsctl.ServiceKey, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	if !h.alive() {
		return ipvsctl.Result{}, errTest
	}
	return h.fakeHost.SetServices(ctx, desired, keys, owned)
}

func (h *mortalHost) SetSysctls(desired []netif.Sysctl) error {
	if !h.alive() {
		return errTest
	}
	return h.fakeHost.SetSysctls(desired)
}

func (h *mortalHost) SetSync(ctx context.Context, desired []ipvsctl.SyncDaemon, owned func(ipvsctl.SyncDaemon) bool) (ipvsctl.SyncResult, error) {
	if !h.alive() {
		return ipvsctl.SyncResult{}, errTest
	}
	return h.fakeHost.SetSync(ctx, desired, owned)
}

func (h *mortalHost) Announce(targets map[arp.Target]arp.Schedule, again bool) {
	if h.alive() {
		h.fakeHost.Announce(targets, again)
	}
}

func (h *mortalHost) RestoreSysctls() error {
	if !h.alive() {
		return errTest
	}
	return h.fakeHost.RestoreSysctls()
}

// node runs the processes of one node in a synctest bubble.
type node struct {
	t       testing.TB
	host    *fakeHost
	peers   peer.Link // nil is none
	network vrrp.Network
	runDir  string
	state   string // the state folder

	mu     sync.Mutex
	config *config.Config // what the file says
	wrong  error          // or why it is wrong
	// applied has the configurations that were loaded, by their text.
	applied   map[string]*config.Config
	restarted bool

	toSpeaker, atSpeaker       process.Link
	toChecker, atChecker       process.Link
	toSupervisor, atSupervisor process.Link

	director     *Director
	orphaned     chan struct{} // closed when the supervisor dies
	listen       func(string) (net.Listener, error)
	killDirector func()
	stopDirector func() error
	endDirector  func() error // waits for its end
	killSpeaker  func()
	speakerEnded chan struct{}
	targets      chan checker.Targets // what the checker was told
	history      map[string][]healthcheck.Record
	cleanups     []func()

	ran   []string      // programs with their arguments; guarded by mu
	takes time.Duration // each of them; guarded by mu
}

// run is a program that takes its time.
func (n *node) run(ctx context.Context, c script.Command) (script.Result, error) {
	n.mu.Lock()
	n.ran = append(n.ran, strings.Join(c.Args, " "))
	takes := n.takes
	n.mu.Unlock()
	select {
	case <-time.After(takes):
		return script.Result{}, nil
	case <-ctx.Done():
		return script.Result{}, ctx.Err()
	}
}

// programs returns those that ran since the last call.
func (n *node) programs() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	ran := n.ran
	n.ran = nil
	return ran
}

func newNode(t testing.TB, c *config.Config, network vrrp.Network, host *fakeHost) *node {
	n := &node{t: t, host: host, network: network, runDir: t.TempDir(), state: t.TempDir(), config: c, targets: make(chan checker.Targets, 16),
		orphaned: make(chan struct{}), listen: listenToNobody}
	n.toSpeaker, n.atSpeaker = process.Pipe()
	n.toChecker, n.atChecker = process.Pipe()
	n.toSupervisor, n.atSupervisor = process.Pipe()
	go n.check()
	return n
}

// check is a checker that judges nothing by itself.
func (n *node) check() {
	for m := range n.atChecker.Receive() {
		switch m.Kind {
		case process.KindHello:
			_ = n.atChecker.Send(checker.KindVerdicts, "", checker.Verdicts{})
		case checker.KindHistoryRequest:
			var request checker.HistoryRequest
			if m.Decode(&request) == nil && n.history != nil {
				_ = n.atChecker.Send(checker.KindHistory, "", checker.History{ID: request.ID, Records: n.history})
			}
		case checker.KindTargets:
			var t checker.Targets
			if m.Decode(&t) == nil {
				n.targets <- t
			}
		}
	}
}

func (n *node) judge(id string, status healthcheck.Status) {
	n.t.Helper()
	v := healthcheck.Verdict{ID: id, Status: status, Since: time.Now(), Checked: time.Now()}
	if err := n.atChecker.Send(checker.KindVerdict, id, v); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) startSpeaker() {
	dead := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.speakerEnded = ended
	killed := &silentNetwork{Network: n.network, dead: dead}
	go func() {
		defer close(ended)
		_ = speaker.Run(ctx, mortal(n.atSpeaker, dead), killed, nil, quiet())
	}()
	var once sync.Once
	n.killSpeaker = func() { once.Do(func() { close(dead); cancel() }) }
	n.cleanups = append(n.cleanups, n.killSpeaker, func() { <-ended })
}

func (n *node) startDirector() {
	defer func() { n.restarted = true }()
	dead := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	n.director = New(Options{
		Path:       "haldir.toml",
		Load:       n.load,
		LoadTexts:  n.loadTexts,
		Restarted:  n.restarted,
		RunDir:     n.runDir,
		StateDir:   n.state,
		Supervisor: mortal(n.toSupervisor, dead),
		Speaker:    mortal(n.toSpeaker, dead),
		Checker:    mortal(n.toChecker, dead),
		Host:       &mortalHost{n.host, dead},
		Peers:      n.peers,
		Listen:     n.listen,
		RunProgram: n.run,
		Ready:      func() {},
		Reloading:  func() {},
		Log:        quiet(),
	})
	d := n.director
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, n.orphaned, make(chan os.Signal)) }()
	var once sync.Once
	n.killDirector = func() { once.Do(func() { close(dead); cancel() }) }
	var result error
	var wait sync.Once
	join := func() error {
		wait.Do(func() { result = <-ended })
		return result
	}
	n.stopDirector = func() error { cancel(); return join() }
	n.endDirector = join
	n.cleanups = append(n.cleanups, n.killDirector, func() { _ = join() })
}

func (n *node) load(*config.Config) (*config.Config, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wrong != nil {
		return nil, n.wrong
	}
	text := fmt.Sprintf("%p", n.config)
	n.config.Texts = []config.Text{{Name: "haldir.toml", Text: text}}
	if n.applied == nil {
		n.applied = make(map[string]*config.Config)
	}
	n.applied[text] = n.config
	return n.config, nil
}

func (n *node) file(c *config.Config, wrong error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.config, n.wrong = c, wrong
}

// loadTexts finds the configuration that a text names.
func (n *node) loadTexts(texts []config.Text) (*config.Config, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.applied[texts[0].Text], nil
}

// end ends everything that still runs, as a bubble demands.
func (n *node) end() {
	for _, f := range n.cleanups {
		f()
	}
	for _, l := range []process.Link{n.toSpeaker, n.atSpeaker, n.toChecker, n.atChecker, n.toSupervisor, n.atSupervisor} {
		_ = l.Close()
	}
}

// silentNetwork sends nothing any more once its process is dead.
type silentNetwork struct {
	vrrp.Network
	dead <-chan struct{}
}

type silentPort struct {
	vrrp.Port
	dead <-chan struct{}
}

func (s *silentNetwork) Open(ifname string) (vrrp.Port, error) {
	port, err := s.Network.Open(ifname)
	if err != nil {
		return nil, err
	}
	return &silentPort{port, s.dead}, nil
}

func (s *silentPort) Send(source netip.Addr, messages [][]byte) (int, error) {
	select {
	case <-s.dead:
		return len(messages), nil
	default:
		return s.Port.Send(source, messages)
	}
}
