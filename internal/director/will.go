package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/vrrp"
)

// The will says what has to be done for this node if it dies as a whole: which
// virtual routers resign. It lies in the run directory.
type will struct {
	Routers []vrrp.RouterConfig `json:"routers"`
}

func willPath(runDir string) string { return filepath.Join(runDir, "will.json") }

// CleanupHost is what Cleanup needs of the host.
type CleanupHost interface {
	PrepareLinks(ctx context.Context, desired []netif.VirtualLink) (netif.VirtualLinkResult, error)
	Addresses(ctx context.Context) ([]netif.PresentAddress, error)
	SetAddresses(ctx context.Context, desired []netif.Address) (netif.AddressResult, error)
	SetRouting(ctx context.Context, desired netif.Routing) (netif.RoutingResult, error)
	RestoreSysctls() error
	ipvsctl.TimeoutHandle
}

// Cleanup executes the will of a node whose processes are gone: each router
// whose addresses are still here resigns with priority 0, the addresses stay
// until a successor is heard or a bound passes, and are taken away. IPVS entries
// stay: the next start adopts them. It is safe to call at any time while no
// director runs.
func Cleanup(ctx context.Context, runDir string, host CleanupHost, network vrrp.Network, log *slog.Logger) error {
	present, err := host.Addresses(ctx)
	if err != nil {
		return fmt.Errorf("looking for addresses that were left: %w", err)
	}
	left := make(map[netip.Addr]bool)
	for _, p := range present {
		if p.Ours {
			left[p.Prefix.Addr()] = true
		}
	}
	var errs []error
	if len(left) > 0 {
		var last will
		if err := statefile.Load(willPath(runDir), &last); err != nil {
			errs = append(errs, err)
		}
		var wait sync.WaitGroup
		for _, router := range last.Routers {
			for _, address := range router.Addresses {
				if left[address] {
					wait.Go(func() { resign(ctx, router, network, log) })
					break
				}
			}
		}
		wait.Wait()
	}
	// Addresses go with their links, and fall silent with them.
	links, err := takeLinksAway(ctx, host)
	errs = append(errs, err)
	for _, what := range links {
		log.Info("virtual interface", "change", what)
	}
	if len(left) > 0 {
		result, err := host.SetAddresses(ctx, nil)
		log.Info("took away the addresses that were left", "addresses", len(result.Removed))
		errs = append(errs, err)
		for _, f := range result.Failed {
			errs = append(errs, f)
		}
	}
	routing, err := host.SetRouting(ctx, netif.Routing{})
	errs = append(errs, err, routing.Err(), host.RestoreSysctls(), restoreTimeouts(ctx, runDir, host), statefile.Remove(willPath(runDir)))
	return errors.Join(errs...)
}

// resign sends the last advert of a router and waits for its successor.
func resign(ctx context.Context, router vrrp.RouterConfig, network vrrp.Network, log *slog.Logger) {
	port, err := vrrp.Open(network, &router)
	if err != nil {
		log.Warn("resigning", "router", router.Name, "error", err)
		return
	}
	defer func() { _ = port.Close() }()
	var vrids vrrp.VRIDs
	vrids.Add(router.VRID)
	source, err := port.Source(router.Addresses)
	if err == nil {
		err = port.Listen(vrids)
	}
	if err == nil {
		err = vrrp.Resign(port, &router, source)
	}
	if err != nil {
		log.Warn("resigning", "router", router.Name, "error", err)
		return
	}
	bound, cancel := context.WithTimeout(ctx, vrrp.HandoverBound(router.Interval))
	defer cancel()
	stop := context.AfterFunc(bound, func() { _ = port.Close() })
	defer stop()
	log.Info("resigned for a node that died", "router", router.Name, "successor_heard", successor(port, router, source))
}

// successor waits until another router advertises, or the port is closed.
func successor(port vrrp.Port, router vrrp.RouterConfig, source netip.Addr) bool {
	datagrams := make([]vrrp.Datagram, 16)
	for i := range datagrams {
		datagrams[i].Buffer = make([]byte, vrrp.MaxDatagram)
	}
	var advert vrrp.Packet
	for {
		n, err := port.Receive(datagrams)
		if err != nil {
			return false
		}
		for _, d := range datagrams[:n] {
			drop := advert.ParseFor(&router, &d)
			if drop == 0 && advert.VRID == router.VRID && advert.Priority > 0 && d.Source != source {
				return true
			}
		}
	}
}

// handoverBound is how long the slowest of the routers may take to hand over.
func handoverBound(routers []vrrp.RouterConfig) time.Duration {
	bound := time.Duration(0)
	for _, r := range routers {
		bound = max(bound, vrrp.HandoverBound(r.Interval))
	}
	return bound
}
