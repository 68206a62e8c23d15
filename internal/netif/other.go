//go:build !linux

package netif

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

var errOtherSystem = fmt.Errorf("network configuration of a system other than Linux: %w", errors.ErrUnsupported)

// Links reads all interfaces of this network namespace, ordered by index.
func Links(context.Context) ([]Link, error) { return nil, errOtherSystem }

// Watch reports what happens to links and addresses; on Linux alone.
func Watch(context.Context, func(Event)) error { return errOtherSystem }

// ReadTunnel says how things are with a tunnel device; on Linux alone.
func ReadTunnel(context.Context, string) (Tunnel, error) { return Tunnel{}, errOtherSystem }

// EnsureTunnel makes a tunnel device receive; on Linux alone.
func EnsureTunnel(context.Context, string, int) error { return errOtherSystem }

// RestoreTunnel undoes EnsureTunnel; on Linux alone.
func RestoreTunnel(context.Context, Tunnel, ...int) error { return errOtherSystem }

// DefaultRoutes reads the default routes; on Linux alone.
func DefaultRoutes(context.Context) ([]Route, error) { return nil, errOtherSystem }

// Connections lists the TCP connections; on Linux alone.
func Connections(context.Context) ([]Connection, error) { return nil, errOtherSystem }

// RouteTo asks the kernel by which way it would send; on Linux alone.
func RouteTo(context.Context, netip.Addr, netip.Addr) (Route, error) { return Route{}, errOtherSystem }

type kernelLinks struct{}

func (kernelLinks) links(context.Context) ([]Link, error) { return nil, errOtherSystem }
func (kernelLinks) add(Link, VirtualLink) error           { return errOtherSystem }
func (kernelLinks) remove(int) error                      { return errOtherSystem }
func (kernelLinks) setUp(int, bool) error                 { return errOtherSystem }
func (kernelLinks) muted(int) (bool, error)               { return false, errOtherSystem }
func (kernelLinks) mute(int, bool) error                  { return errOtherSystem }
func (kernelLinks) readSysctl(string) (string, error)     { return "", errOtherSystem }
func (kernelLinks) writeSysctl(string, string) error      { return errOtherSystem }

// lockDirectory does nothing: there are no sysctls to guard.
func lockDirectory(string) (unlock func(), err error) { return nil, errOtherSystem }

type noRouting struct{}

func routingHost() routingKernel { return noRouting{} }

func (noRouting) readRouting(context.Context) ([]heldRoute, []heldRule, error) {
	return nil, nil, errOtherSystem
}
func (noRouting) setRoute(VirtualRoute, bool) error { return errOtherSystem }
func (noRouting) removeRoute(VirtualRoute) error    { return errOtherSystem }
func (noRouting) addRule(VirtualRule) error         { return errOtherSystem }
func (noRouting) removeRule(VirtualRule) error      { return errOtherSystem }

// ReadRedirects reads the redirects; on Linux alone.
func ReadRedirects(context.Context) (Redirects, error) { return Redirects{}, errOtherSystem }

// SetRedirects sets the redirects; on Linux alone.
func SetRedirects(context.Context, []Redirect) error { return errOtherSystem }

// ReadClamps reads the clamps; on Linux alone.
func ReadClamps(context.Context) (Clamps, error) { return Clamps{}, errOtherSystem }

// SetClamps sets the clamps; on Linux alone.
func SetClamps(context.Context, []Clamp) error { return errOtherSystem }

// ReadSilences reads the silences; on Linux alone.
func ReadSilences(context.Context) (Silences, error) { return Silences{}, errOtherSystem }

// SetSilences sets the silences; on Linux alone.
func SetSilences(context.Context, []Silence) error { return errOtherSystem }

// CanSilence says whether SetSilences can do something; on Linux alone.
func CanSilence() (bool, error) { return false, errOtherSystem }

// GUEPorts lists where GUE is received; on Linux alone.
func GUEPorts(context.Context) ([]netip.AddrPort, error) { return nil, errOtherSystem }

// AddGUEPort has GUE received at a port; on Linux alone.
func AddGUEPort(context.Context, netip.AddrPort) error { return errOtherSystem }

// RemoveGUEPort undoes AddGUEPort; on Linux alone.
func RemoveGUEPort(context.Context, netip.AddrPort) error { return errOtherSystem }
