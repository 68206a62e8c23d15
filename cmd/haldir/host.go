package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/arp"
	"github.com/haldir-lb/haldir/internal/mark"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvsnl"
	"github.com/haldir-lb/haldir/realserver"
)

// host is the real machine behind director.Host and director.CleanupHost.
type host struct {
	sysctls   string // the record of earlier values
	addresses *netif.Addresses
	announcer *arp.Announcer
	log       *slog.Logger

	mu     sync.Mutex
	handle *ipvsnl.Handle // guarded by mu; opened when it is first needed
}

func newHost(runDir string, log *slog.Logger) *host {
	addresses := netif.NewAddresses()
	addresses.RemoveFirst = true
	// A real server has its addresses where a director never has any: one host
	// may be both.
	addresses.Interfaces = func(name string) bool { return !realserver.Owns(name) }
	return &host{
		sysctls:   filepath.Join(runDir, "sysctls.json"),
		addresses: addresses,
		announcer: arp.NewAnnouncer(arp.Open, log),
		log:       log,
	}
}

// Close releases what was opened; the host stays as it is.
func (h *host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.handle != nil {
		_ = h.handle.Close()
		h.handle = nil
	}
}

func (h *host) SetAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error) {
	return h.addresses.Reconcile(ctx, desired)
}

func (h *host) SetAttributes(attributes map[netif.Address]netif.Attributes) {
	h.addresses.Attributes = attributes
}

func (h *host) SetRouting(ctx context.Context, desired netif.Routing) (netif.RoutingResult, error) {
	return netif.ReconcileRouting(ctx, desired)
}

func (h *host) PrepareLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	return netif.PrepareVirtualLinks(ctx, desired)
}

func (h *host) RaiseLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error) {
	return netif.RaiseVirtualLinks(ctx, desired)
}

func (h *host) Links(ctx context.Context) ([]netif.Link, error) { return netif.Links(ctx) }

func (h *host) Addresses(ctx context.Context) ([]netif.PresentAddress, error) {
	return h.addresses.Read(ctx)
}

// ipvs returns the handle, opened if need be: a node without services needs no
// ip_vs.
func (h *host) ipvs() (*ipvsnl.Handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.handle != nil {
		return h.handle, nil
	}
	handle, err := ipvsnl.Open()
	if err != nil {
		return nil, err
	}
	h.handle = handle
	return handle, nil
}

func (h *host) SetTable(ctx context.Context, desired ipvsctl.Table, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	handle, err := h.ipvs()
	if err != nil {
		return ipvsctl.Result{}, err
	}
	return ipvsctl.NewReconciler(handle).Reconcile(ctx, desired, owned)
}

func (h *host) SetServices(ctx context.Context, desired ipvsctl.Table, keys []ipvsctl.ServiceKey, owned func(ipvsctl.ServiceKey) bool) (ipvsctl.Result, error) {
	handle, err := h.ipvs()
	if err != nil {
		return ipvsctl.Result{}, err
	}
	return ipvsctl.NewReconciler(handle).ReconcileServices(ctx, desired, keys, owned)
}

func (h *host) TableFingerprint(context.Context) (uint64, error) { return ipvsnl.Fingerprint() }

func (h *host) Table(ctx context.Context) (ipvsctl.LiveTable, error) {
	handle, err := h.ipvs()
	if err != nil {
		return nil, err
	}
	return handle.Read(ctx)
}

func (h *host) SetSync(ctx context.Context, desired []ipvsctl.SyncDaemon, owned func(ipvsctl.SyncDaemon) bool) (ipvsctl.SyncResult, error) {
	handle, err := h.ipvs()
	if err != nil {
		return ipvsctl.SyncResult{}, err
	}
	return ipvsctl.ReconcileSync(ctx, handle, desired, owned)
}

func (h *host) SyncDaemons(ctx context.Context) ([]ipvsctl.SyncDaemon, error) {
	handle, err := h.ipvs()
	if err != nil {
		return nil, err
	}
	return handle.SyncDaemons(ctx)
}

func (h *host) Services(ctx context.Context, keys []ipvsctl.ServiceKey) (ipvsctl.LiveTable, error) {
	handle, err := h.ipvs()
	if err != nil {
		return nil, err
	}
	return handle.ReadServices(ctx, keys)
}

func (h *host) Connections(ctx context.Context, fn func(ipvsctl.Connection) bool) error {
	return ipvsnl.Connections(ctx, fn)
}

func (h *host) SetMarks(ctx context.Context, rules []mark.Rule) (bool, error) {
	return mark.Set(ctx, rules)
}

func (h *host) SetSysctls(desired []netif.Sysctl) error {
	if err := os.MkdirAll(filepath.Dir(h.sysctls), 0o755); err != nil {
		return fmt.Errorf("making the run directory: %w", err)
	}
	changes, err := netif.ApplySysctls(h.sysctls, desired)
	for _, c := range changes {
		h.log.Info("kernel parameter", "path", c.Path, "value", c.Value, "was", c.From)
	}
	return err
}

func (h *host) RestoreSysctls() error {
	result, err := netif.RestoreSysctls(h.sysctls)
	for _, c := range result.Restored {
		h.log.Info("kernel parameter restored", "path", c.Path, "value", c.Value)
	}
	for _, l := range result.Left {
		h.log.Warn("kernel parameter was changed by somebody else and stays", "path", l.Path, "now", l.Now, "earlier", l.Earlier)
	}
	return err
}

func (h *host) Timeouts(ctx context.Context) (ipvsctl.Timeouts, error) {
	handle, err := h.ipvs()
	if err != nil {
		return ipvsctl.Timeouts{}, err
	}
	return handle.Timeouts(ctx)
}

func (h *host) SetTimeouts(ctx context.Context, t ipvsctl.Timeouts) error {
	handle, err := h.ipvs()
	if err != nil {
		return err
	}
	return handle.SetTimeouts(ctx, t)
}

func (h *host) Zero(ctx context.Context, key ipvsctl.ServiceKey) error {
	handle, err := h.ipvs()
	if err != nil {
		return err
	}
	return handle.Zero(ctx, key)
}

func (h *host) Announce(targets map[arp.Target]arp.Schedule, again bool) {
	h.announcer.Set(targets)
	if again {
		h.announcer.Repeat()
	}
}

func (h *host) Announced(ctx context.Context) (map[arp.Target]arp.TargetStatus, error) {
	list, err := h.announcer.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking what was announced: %w", err)
	}
	announced := make(map[arp.Target]arp.TargetStatus, len(list))
	for _, s := range list {
		announced[s.Target] = s
	}
	return announced, nil
}

func (h *host) Claims(ctx context.Context, ifname string, held func(netip.Addr) bool, sink func(arp.Claim)) error {
	return arp.Claims(ctx, ifname, held, sink)
}

func (h *host) Claimant(ctx context.Context, ifname string, address netip.Addr, wait time.Duration) (string, error) {
	answer, found, err := arp.Reach(ctx, ifname, address, wait)
	if !found {
		return "", err
	}
	return answer.MAC.String(), nil
}

// watchAgainAfter is the pause after the watch of links and addresses failed.
const watchAgainAfter = time.Second

func (h *host) Run(ctx context.Context, sink func(netif.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		h.watch(ctx, sink)
	}()
	err := h.announcer.Run(ctx)
	cancel()
	<-watched
	return err
}

// watch begins anew after a failure; everything is reported again then.
func (h *host) watch(ctx context.Context, sink func(netif.Event)) {
	for ctx.Err() == nil {
		if err := netif.Watch(ctx, sink); err != nil {
			h.log.Warn("watching links and addresses; beginning anew", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(watchAgainAfter):
			}
		}
	}
}
