package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Canonical returns the cluster-wide meaning of c as TOML: every default
// written out, blocks sorted by name, lists sorted, and nothing that is a node's
// own affair ([node], [api], the interface that a template yields here). Two
// files with the same meaning give the same text. It has the password of
// authentication in it, since two directors have to agree on that.
func (c *Config) Canonical() string {
	doc := c.canonicalHead()
	for _, s := range c.Services {
		doc.Services = append(doc.Services, canonicalServiceOf(s))
	}
	slices.SortFunc(doc.Services, func(a, b canonicalService) int { return strings.Compare(a.Name, b.Name) })

	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(doc); err != nil {
		panic("encoding the canonical configuration: " + err.Error()) // types above are all encodable
	}
	return b.String()
}

// canonicalHead is the canonical form without the services.
func (c *Config) canonicalHead() canonicalConfig {
	var doc canonicalConfig
	for _, v := range c.VRRP {
		doc.VRRP = append(doc.VRRP, canonicalVRRPOf(v))
	}
	doc.Groups = c.canonicalGroups()
	doc.Sync = canonicalSyncOf(c.Sync)
	doc.IPVS = canonicalIPVSOf(c.Timeouts)
	slices.SortFunc(doc.VRRP, func(a, b canonicalVRRP) int { return strings.Compare(a.Name, b.Name) })
	return doc
}

// The canonical types mirror the schema. Their field order is the text's order.
type (
	canonicalConfig struct {
		VRRP     []canonicalVRRP    `toml:"vrrp"`
		Groups   []canonicalGroup   `toml:"sync_group,omitempty"`
		Services []canonicalService `toml:"service"`
		Sync     *canonicalSync     `toml:"connection_sync,omitempty"`
		IPVS     *canonicalIPVS     `toml:"ipvs,omitempty"`
	}
	canonicalVRRP struct {
		Name           string           `toml:"name"`
		Interface      string           `toml:"interface"`
		RouterID       int              `toml:"router_id"`
		Version        int              `toml:"version"`
		Checksum       string           `toml:"checksum,omitempty"`
		Authentication string           `toml:"authentication,omitempty"`
		Priority       any              `toml:"priority"`
		Interval       string           `toml:"interval"`
		Preempt        bool             `toml:"preempt"`
		PreemptDelay   string           `toml:"preempt_delay,omitempty"`
		Addresses      []string         `toml:"addresses"`
		Also           []string         `toml:"also,omitempty"`
		Routes         []string         `toml:"routes,omitempty"`
		Rules          []string         `toml:"rules,omitempty"`
		Peers          []string         `toml:"peers,omitempty"`
		MinTTL         int              `toml:"min_ttl,omitzero"`
		VMAC           bool             `toml:"vmac,omitempty"`
		GARP           canonicalGARP    `toml:"garp"`
		Track          []map[string]any `toml:"track,omitempty"`
		Notify         map[string]any   `toml:"notify,omitempty"`
	}
	canonicalGARP struct {
		Burst   int    `toml:"burst"`
		Spacing string `toml:"spacing"`
		Again   string `toml:"again"`
		Refresh string `toml:"refresh"`
	}
	canonicalGroup struct {
		Name    string           `toml:"name"`
		Members []string         `toml:"members"`
		Track   []map[string]any `toml:"track,omitempty"`
		Notify  map[string]any   `toml:"notify,omitempty"`
	}
	canonicalService struct {
		Name        string          `toml:"name"`
		Listen      []string        `toml:"listen"`
		FWMark      int64           `toml:"fwmark,omitzero"`
		Protocol    string          `toml:"protocol"`
		Scheduler   string          `toml:"scheduler"`
		Forward     string          `toml:"forward"`
		Receive     string          `toml:"receive,omitempty"`
		Flags       []string        `toml:"scheduler_flags,omitempty"`
		Persistence string          `toml:"persistence"`
		Mask        string          `toml:"persistence_mask,omitempty"`
		Prefix      int64           `toml:"persistence_prefix,omitzero"`
		Engine      string          `toml:"persistence_engine,omitempty"`
		OnePacket   bool            `toml:"one_packet,omitempty"`
		Tunnel      map[string]any  `toml:"tunnel,omitempty"`
		Quorum      int64           `toml:"quorum"`
		Hysteresis  int64           `toml:"hysteresis"`
		Sorry       string          `toml:"sorry,omitempty"`
		OnFailure   string          `toml:"on_failure"`
		SlowStart   string          `toml:"slow_start"`
		Panic       string          `toml:"panic"`
		Drain       string          `toml:"drain"`
		Load        string          `toml:"load,omitempty"`
		Stateless   bool            `toml:"stateless,omitempty"`
		Check       any             `toml:"check,omitempty"`
		HealthyWhen string          `toml:"healthy_when,omitempty"`
		Real        []canonicalReal `toml:"real"`
	}
	canonicalReal struct {
		Address string `toml:"address"`
		Weight  int64  `toml:"weight"`
		Upper   int64  `toml:"upper,omitzero"`
		Lower   int64  `toml:"lower,omitzero"`
		Check   any    `toml:"check,omitempty"`
	}
)

func canonicalVRRPOf(v VRRP) canonicalVRRP {
	c := canonicalVRRP{
		Name:           v.Name,
		Interface:      v.Interface,
		RouterID:       int(v.RouterID),
		Version:        int(v.Version),
		Checksum:       v.Checksum,
		Authentication: string(v.Authentication),
		Interval:       plain(v.Interval),
		Preempt:        v.Preempt,
		Addresses:      sortedText(v.Addresses, netip.Prefix.Compare),
		Peers:          sortedText(v.Peers, netip.Addr.Compare),
		MinTTL:         int(v.MinTTL),
		VMAC:           v.VMAC,
		GARP: canonicalGARP{
			Burst:   v.GARP.Burst,
			Spacing: plain(v.GARP.Spacing),
			Again:   plain(v.GARP.Again),
			Refresh: plain(v.GARP.Refresh),
		},
	}
	c.Also, c.Routes, c.Rules = plainTexts(v.Also), plainTexts(v.Routes), plainTexts(v.Rules)
	if v.InterfaceTemplate != "" {
		c.Interface = v.InterfaceTemplate
	}
	c.Track, c.Notify = canonicalTrack(v.Track), canonicalNotify(v.Notify)
	if v.PreemptDelay > 0 {
		c.PreemptDelay = plain(v.PreemptDelay)
	}
	if v.Priorities.All != 0 {
		c.Priority = int(v.Priorities.All)
	} else {
		table := map[string]int{}
		for name, p := range v.Priorities.ByNode {
			table[name] = int(p)
		}
		c.Priority = table
	}
	return c
}

func canonicalServiceOf(s Service) canonicalService {
	c := canonicalService{
		Name:        s.Name,
		Listen:      sortedText(s.Listen, netip.AddrPort.Compare),
		Protocol:    s.Protocol,
		Scheduler:   s.Scheduler,
		Forward:     s.Forward,
		Persistence: plain(s.Persistence),
		Quorum:      int64(s.Pool.Quorum),
		Hysteresis:  int64(s.Pool.Hysteresis),
		OnFailure:   s.Pool.OnFailure,
		SlowStart:   plain(s.Pool.SlowStart),
		Panic:       fmt.Sprintf("%d%%", s.Pool.Panic),
		Drain:       plain(s.Pool.Drain),
	}
	if s.Redirect {
		c.Receive = receiveRedirect
	}
	if s.LoadAlways {
		c.Load = loadAlways
	}
	c.Stateless = s.Stateless
	if c.FWMark = int64(s.FWMark); c.FWMark != 0 {
		c.Listen = nil
		for _, r := range s.Marked {
			c.Listen = append(c.Listen, r.String())
		}
	}
	c.Flags, c.Engine, c.OnePacket = s.Attributes.SchedulerFlags, s.Attributes.PersistenceEngine, s.Attributes.OnePacket
	c.Prefix = int64(s.Attributes.PersistencePrefix6)
	if n := s.Attributes.PersistencePrefix; n != 0 {
		c.Mask = fmt.Sprintf("/%d", n)
	}
	if s.Forward == "tun" {
		c.Tunnel = map[string]any{"type": s.Attributes.Tunnel.Type, "checksum": s.Attributes.Tunnel.Checksum}
		if port := s.Attributes.Tunnel.Port; port != 0 {
			c.Tunnel["port"] = int(port)
		}
	}
	if s.Pool.Sorry != nil {
		c.Sorry = s.Pool.Sorry.String()
	}
	c.Check = canonicalChecks(s.Checks)
	if s.HealthyWhen != defaultHealthyWhen {
		c.HealthyWhen = s.HealthyWhen
	}
	for _, r := range s.Real {
		c.Real = append(c.Real, canonicalReal{Address: r.String(), Weight: int64(r.Weight), Upper: int64(r.Upper), Lower: int64(r.Lower), Check: canonicalChecks(r.Checks)})
	}
	slices.SortFunc(c.Real, func(a, b canonicalReal) int { return strings.Compare(a.Address, b.Address) })
	return c
}

// plainTexts describes values by all their fields, sorted.
func plainTexts[T any](values []T) []string {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprintf("%+v", v))
	}
	slices.Sort(texts)
	return texts
}

func sortedText[T interface{ String() string }](values []T, compare func(a, b T) int) []string {
	sorted := slices.SortedFunc(slices.Values(values), compare)
	text := make([]string, len(sorted))
	for i, v := range sorted {
		text[i] = v.String()
	}
	return text
}
