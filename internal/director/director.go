package director

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/healthcheck"
	"github.com/haldir-lb/haldir/internal/checker"
	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/control"
	"github.com/haldir-lb/haldir/internal/journal"
	"github.com/haldir-lb/haldir/internal/notify"
	"github.com/haldir-lb/haldir/internal/peer"
	"github.com/haldir-lb/haldir/internal/process"
	"github.com/haldir-lb/haldir/internal/script"
	"github.com/haldir-lb/haldir/internal/speaker"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/internal/track"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// Options is what a director needs.
type Options struct {
	// Path is where the configuration was read from, for people.
	Path string
	// Load reads and validates the configuration's files, of which one may have been
	// loaded before; LoadTexts validates texts that were read before.
	Load      func(before *config.Config) (*config.Config, error)
	LoadTexts func([]config.Text) (*config.Config, error)
	// Restarted says that this director follows one that died.
	Restarted bool
	// RunDir is the folder for what outlives the process, /run/haldir by default.
	RunDir string
	// StateDir is the folder for what outlives a reboot, statefile.DefaultDir by
	// default. Its disk may be slow: the loop never touches it.
	StateDir                     string
	Supervisor, Speaker, Checker process.Link
	Host                         Host
	// Peers carries messages between directors; nil is none.
	Peers peer.Link
	// Listen opens the API's socket; control.Listen outside tests.
	Listen func(path string) (net.Listener, error)
	// RunProgram runs a program that is to be told something; script.RunSafe outside
	// tests.
	RunProgram func(context.Context, script.Command) (script.Result, error)
	// Ready is called once everything is set up; Reloading before a reload and
	// Ready after it.
	Ready, Reloading func()
	Release          string // of the binary, for the status
	Log              *slog.Logger
}

// Director is the director process. Its fields belong to the loop of Run
// where no other owner is named.
type Director struct {
	Options
	applier *applier
	reloads chan struct{} // full during a reload
	// operations is full while an operator's request is carried out.
	operations chan struct{}

	config     *config.Config
	indexed    *index // of config; see index
	noted      bool   // transitions were noted, see follow
	moved      []move // the roles that changed thereby
	loaded     time.Time
	lastReload *control.ReloadResult
	retired    []leaver // not handed over yet

	roles  map[string]Role
	health map[string]healthcheck.Verdict
	// unsettled is since when judgements wait for update.
	unsettled time.Time
	risen     map[string]time.Time // by target: when it came up under our eyes
	probes    *Probes              // of the configuration in force
	pools     map[ipvsctl.ServiceKey]Pool
	again     <-chan time.Time // the next step of a pool; nil is none
	carrier   map[string]bool  // by interface; absent is unknown
	counting  counting

	table     ipvsctl.Table // desired last
	overrides overrides
	keeping   sync.Mutex // held while the overrides are written down
	leaving   []departure
	drained   atomic.Pointer[[]ipvsctl.ServiceKey] // services with servers that drain, for their watcher
	drainNews chan reading

	standings map[string]track.Standing // by the name of the virtual router
	debounced map[linkKey]*track.Debounce
	numbers   map[string]int // by target: the last that its check could read
	told      bool           // the speaker knows what to run

	notifier   *notify.Notifier
	toldStates map[notify.Subject]notify.State // that this director told

	children process.Children

	// maintenance is what an operator switched on; nil if this node may be master.
	maintenance        *control.Maintenance
	maintenanceProblem string // why it is not known

	journal *journal.Journal

	web *web

	rivals map[string]*rival // by router
	asking chan struct{}     // holds a value for each question under way

	rolesChanged chan struct{} // closed and replaced when roles change

	generation  uint64
	requests    map[uint64]chan speaker.State
	histories   map[uint64]chan checker.History
	nextID      uint64
	commands    chan func()
	linkNews    *linkNews
	synced      bool                 // the watcher has reported every interface that is up
	claims      map[netip.Addr]claim // by others, of addresses of the configuration
	heardClaims chan arp.Claim
	listening   map[string]bool                     // by interface
	vips        atomic.Pointer[map[netip.Addr]bool] // read by the listeners
	peers       *peers
	background  context.Context // of everything that Run started
	parts       sync.WaitGroup  // the same

	stopping   bool
	handedOver bool // the speaker has stopped
	finished   bool // nothing is left to be told to the other directors
}

// New returns a director that does nothing before Run.
func New(o Options) *Director {
	return &Director{
		journal: journal.New(eventsPath(o.StateDir)),
		web:     newWeb(),
		rivals:  make(map[string]*rival),
		asking:  make(chan struct{}, questions),

		Options:      o,
		reloads:      make(chan struct{}, 1),
		operations:   make(chan struct{}, 1),
		rolesChanged: make(chan struct{}),
		roles:        make(map[string]Role),
		health:       make(map[string]healthcheck.Verdict),
		risen:        make(map[string]time.Time),
		drainNews:    make(chan reading),
		carrier:      make(map[string]bool),
		numbers:      make(map[string]int),
		toldStates:   make(map[notify.Subject]notify.State),
		requests:     make(map[uint64]chan speaker.State),
		histories:    make(map[uint64]chan checker.History),
		commands:     make(chan func()),
		linkNews:     newLinkNews(),

		claims:      make(map[netip.Addr]claim),
		heardClaims: make(chan arp.Claim, 64),
		listening:   make(map[string]bool),
		peers:       newPeers(),
	}
}

// Run directs until ctx ends or orphaned is closed, which is a planned stop: it
// has the speaker hand over, takes the addresses away and restores what it
// changed on the host. A value from reload reads the configuration again.
func (d *Director) Run(ctx context.Context, orphaned <-chan struct{}, reload <-chan os.Signal) error {
	if err := d.prepare(); err != nil {
		return err
	}
	listener, err := d.Listen(d.socketOf(d.config))
	if err != nil {
		return err
	}
	d.journal.Start()
	defer d.journal.Close(flushBound)
	d.openNotifier()
	// Background work ends after the hand-over, not at its start.
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	d.background = background
	parts := []func() error{
		func() error { return d.Host.Run(background, d.event) },
		func() error { return control.Serve(background, listener, d, d.Log) },
		func() error { return d.applier.run(background) },
	}
	if d.Peers != nil {
		parts = append(parts, func() error { return d.Peers.Run(background, d.peers.arrived) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		d.parts.Go(func() { ended <- part() })
	}

	d.web.set(d.config.API.Listen)
	d.parts.Go(func() { d.web.run(background, d) })
	err = d.begin(ctx)
	if err == nil {
		d.parts.Go(func() { d.watchDrains(background) })
		d.parts.Go(func() { d.keepBelief(background) })
		d.parts.Go(func() { d.counting.run(background, d.Host, d.synchronises) })
		d.Ready()
		err = d.loop(ctx, orphaned, reload, ended)
	}
	d.closeNotifier()
	end()
	d.parts.Wait()
	close(ended)
	for late := range ended {
		err = errors.Join(err, late)
	}
	if err != nil {
		return err
	}
	return d.tidy()
}

// prepare reads what the director starts from.
func (d *Director) prepare() error {
	if err := os.MkdirAll(d.RunDir, 0o755); err != nil {
		return fmt.Errorf("making the run directory: %w", err)
	}
	record, err := openRecord(d.RunDir)
	if err != nil {
		return err
	}
	syncs, err := openSyncRecord(d.RunDir)
	if err != nil {
		return err
	}
	d.applier = newApplier(d.Host, record, syncs, d.Log, d.happened)
	if d.config, err = d.loadFirst(); err != nil {
		return err
	}
	d.loaded = time.Now()
	d.recallMaintenance()
	return d.loadOverrides()
}

// loadFirst loads what this director begins with. After a crash that is what
// was in force: the files may be half-way through an edit.
func (d *Director) loadFirst() (*config.Config, error) {
	var inForce []config.Text
	if err := statefile.Load(d.inForcePath(), &inForce); err != nil {
		d.Log.Warn("reading the configuration that was in force", "error", err)
	}
	if d.Restarted && len(inForce) > 0 {
		c, err := d.LoadTexts(inForce)
		if err == nil {
			return c, nil
		}
		d.Log.Warn("the configuration that was in force is refused now; reading the files", "error", err)
	}
	return d.Load(nil)
}

// inForcePath is where the configuration in force is kept.
func (d *Director) inForcePath() string { return filepath.Join(d.RunDir, "config.json") }

// keepInForce writes down which configuration is in force.
func (d *Director) keepInForce() {
	if err := statefile.SaveCompact(d.inForcePath(), d.config.Texts); err != nil {
		// What an earlier one left there must not come back after a crash.
		err = errors.Join(err, statefile.Remove(d.inForcePath()))
		d.Log.Error("writing down the configuration in force", "error", err)
	}
}

// socketOf returns the path of the API's socket under a configuration.
func (d *Director) socketOf(c *config.Config) string {
	return cmp.Or(c.API.Socket, filepath.Join(d.RunDir, control.SocketName))
}
