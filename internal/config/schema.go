package config

import (
	"slices"
	"strings"
	"time"
)

// section is one table of the schema.
type section struct {
	header string
	keys   []string // besides tables
	tables []string
}

// sections lists the schema, to say where a misplaced key belongs.
func sections() []section {
	return []section{
		{"[node]", []string{"name"}, nil},
		{"[[vrrp]]", []string{"name", "interface", "router_id", "version", "checksum", "authentication", "priority", "interval", "addresses", "also", "routes", "rules", "peers", "min_ttl", "preempt", "preempt_delay", "vmac"}, []string{"garp", "track", "notify"}},
		{"[vrrp.garp]", []string{"burst", "spacing", "again", "refresh"}, nil},
		{"[[sync_group]]", []string{"name", "members"}, []string{"track", "notify"}},
		{"[[service]]", []string{"name", "listen", "fwmark", "protocol", "scheduler", "forward", "scheduler_flags", "persistence", "persistence_mask", "persistence_prefix", "persistence_engine", "one_packet", "quorum", "hysteresis", "sorry", "on_failure", "slow_start", "panic", "drain", "healthy_when", "load", "stateless", "receive"}, []string{"tunnel", "check", "real"}},
		{"[service.check]", append(append(commonCheckKeys(), "port", "via"), kindOfCheck(defaultCheckType).keys...), nil},
		{"[[service.real]]", []string{"address", "weight", "upper", "lower"}, []string{"check"}},
		{"[service.tunnel]", []string{"type", "port", "checksum"}, nil},
		{"[connection_sync]", connectionSyncKeys(), nil},
		{"[ipvs]", nil, []string{"timeouts"}},
		{"[ipvs.timeouts]", timeoutKeys(), nil},
		{"[vrrp.notify]", append(NotifyStates(), "user", "timeout"), nil},
		{"[sync_group.notify]", append(NotifyStates(), "user", "timeout"), nil},
		{"[checks]", []string{"mark_base"}, nil},
		{"[api]", []string{"socket", "listen"}, nil},
	}
}

// homeOf returns the header of the table that key belongs in, or "".
func homeOf(key string) string {
	for _, s := range sections() {
		if strings.HasSuffix(s.header, ".notify]") && !slices.Contains(NotifyStates(), key) {
			continue // user and timeout are keys of many tables
		}
		if slices.Contains(s.keys, key) || slices.Contains(s.tables, key) {
			if s.header == "[service.check]" && !slices.Contains(commonCheckKeys(), key) {
				break
			}
			return s.header
		}
	}
	return checkHome(key)
}

// Defaults, where a key is absent.
const (
	defaultPriority    = 100 // RFC 9568, section 5.2.4
	defaultVersion     = 3
	defaultChecksum    = "rfc5798" // what keepalived and FRR accept
	defaultInterval    = time.Second
	defaultProtocol    = "tcp"
	defaultScheduler   = "wlc"
	defaultForward     = "dr"
	defaultWeight      = 1
	defaultCheckType   = "tcp"
	defaultHealthyWhen = "all"
	defaultEvery       = 2 * time.Second
	defaultTimeout     = time.Second
	defaultRise        = 2
	defaultFall        = 3
	defaultQuorum      = 1
	defaultOnFailure   = "remove"
	defaultTunnel      = "ipip"
	defaultDrain       = 5 * time.Minute
)

func defaultGARP() GARP {
	return GARP{Burst: 5, Spacing: 300 * time.Millisecond, Again: 5 * time.Second, Refresh: time.Minute}
}

// checksums are the forms of version 3: with and without the pseudo-header.
func checksums() []string { return []string{"rfc5798", "rfc9568"} }

func protocols() []string   { return []string{"tcp", "udp", "sctp"} }
func failures() []string    { return []string{"remove", "quiesce"} }
func healthyWhen() []string { return []string{"all", "any"} }
func forwards() []string    { return []string{"dr", "tun", "nat"} }
func engines() []string     { return []string{"sip"} }

// The flags of schedulers, named after the scheduler that has them.
func schedulerFlags() []string  { return []string{"sh-fallback", "sh-port", "mh-fallback", "mh-port"} }
func tunnelTypes() []string     { return []string{"ipip", "gue", "gre"} }
func tunnelChecksums() []string { return []string{defaultTunnelChecksum, "full", "remote"} }

// defaultTunnelChecksum is that of every tunnel.
const defaultTunnelChecksum = "none"

// schedulers are all that the kernel has, by its own names.
func schedulers() []string {
	return []string{
		"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos",
	}
}

// Legal ranges of durations.

// intervalSpan is that of a version of VRRP, or, for version 0, what any allows.
func intervalSpan(version uint8) span {
	s := span{low: 10 * time.Millisecond, high: 40950 * time.Millisecond, step: 10 * time.Millisecond}
	switch version {
	case 0:
		s.high = 255 * time.Second
	case 2:
		s = span{low: time.Second, high: 255 * time.Second, step: time.Second, with: "version = 2"}
	}
	return s
}
func preemptDelaySpan() span { return span{high: time.Hour} }
func spacingSpan() span      { return span{high: 10 * time.Second} }
func againSpan() span {
	return span{low: 100 * time.Millisecond, high: time.Hour, zero: "no second burst"}
}
func refreshSpan() span {
	return span{low: time.Second, high: 24 * time.Hour, zero: "never again"}
}

// persistenceSpan is what the kernel's u32 of seconds holds in jiffies without
// overflow at any HZ; ipvsadm draws the line at the same place.
func persistenceSpan() span {
	return span{low: time.Second, high: 31 * 24 * time.Hour, step: time.Second, zero: "off"}
}
func slowStartSpan() span { return span{low: time.Second, high: time.Hour, zero: "at once"} }
func drainSpan() span     { return span{low: time.Second, high: 24 * time.Hour, zero: "not at all"} }
func everySpan() span     { return span{low: 100 * time.Millisecond, high: time.Hour} }
func timeoutSpan() span   { return span{low: 10 * time.Millisecond, high: time.Hour} }
