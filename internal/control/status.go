package control

import (
	"net/netip"
	"time"
)

// Version is the version of the API's types. It changes when a field changes
// its meaning or goes; new fields do not change it.
const Version = "v1"

// Milliseconds is a duration in milliseconds.
type Milliseconds float64

// Since returns the milliseconds from then to now.
func Since(then, now time.Time) Milliseconds { return Of(now.Sub(then)) }

// Of converts a duration.
func Of(d time.Duration) Milliseconds {
	return Milliseconds(float64(d.Round(time.Microsecond)) / float64(time.Millisecond))
}

// Duration converts back.
func (m Milliseconds) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// Status is the truth about one director, each part with its source and age.
type Status struct {
	API     string    `json:"api"` // Version
	Node    string    `json:"node"`
	At      time.Time `json:"at"`
	Release string    `json:"release"` // of the binary that runs

	// Maintenance is set while an operator keeps this node from becoming master.
	Maintenance *Maintenance `json:"maintenance,omitempty"`

	// Lateness is that of adverts since the speaker started; absent if it could not
	// be read.
	Lateness *LatenessStatus `json:"advert_lateness,omitempty"`
	// EventsLost counts events of the journal that never came to the disk.
	EventsLost uint64 `json:"events_lost,omitempty"`

	Config    ConfigStatus    `json:"config"`
	Processes []ProcessStatus `json:"processes"`
	Routers   []RouterStatus  `json:"routers"`
	// Groups are the sync groups.
	Groups   []GroupStatus   `json:"sync_groups,omitempty"`
	Services []ServiceStatus `json:"services"`
	// Removed are services that the configuration no longer has, while the
	// connections of their servers end.
	Removed []RemovedStatus `json:"removed,omitempty"`
	// Directors lists the other directors that were heard.
	Directors []DirectorStatus `json:"directors,omitempty"`
	// Sync is the synchronisation of connections; absent if none is configured.
	Sync *SyncStatus `json:"connection_sync,omitempty"`
	// Drift is absent if nobody else changed the IPVS table.
	Drift *DriftStatus `json:"drift,omitempty"`
	// Foreign lists IPVS services in the kernel that are not haldir's.
	Foreign []string `json:"foreign,omitempty"`
	// Problems lists what is not as it should be; empty means that all is well.
	Problems []string `json:"problems"`
	// Unknown lists parts that could not be read, with the reason.
	Unknown []string `json:"unknown,omitempty"`
}

// ConfigStatus is the configuration in force.
type ConfigStatus struct {
	Path   string    `json:"path"`
	Digest string    `json:"digest"` // SHA-256 of its meaning, equal on both directors
	Loaded time.Time `json:"loaded"`
	// LastReload is the outcome of the newest reload, if there was one.
	LastReload *ReloadResult `json:"last_reload,omitempty"`
}

// ReloadResult is the outcome of one reload.
type ReloadResult struct {
	At time.Time `json:"at"`
	// Applied is false if the file was refused: then nothing has changed.
	Applied bool `json:"applied"`
	// Errors are those of the file, one each.
	Errors []string `json:"errors,omitempty"`
	// Changes says what became different, one line each.
	Changes []string `json:"changes,omitempty"`
}

// ProcessStatus is one process of the node, as its supervisor sees it.
type ProcessStatus struct {
	Role string `json:"role"`
	PID  int    `json:"pid"` // 0 while it is not running
	// Since is when it started, or while it is not running, when it ended.
	Since      time.Time    `json:"since"`
	Restarts   int          `json:"restarts"`
	LastExit   string       `json:"last_exit,omitempty"`
	Down       Milliseconds `json:"last_down_ms,omitempty"`
	Scheduling string       `json:"scheduling,omitempty"`
}

// RouterStatus is one virtual router and its addresses.
type RouterStatus struct {
	Name      string    `json:"name"`
	Interface string    `json:"interface"`
	VRID      uint8     `json:"vrid"`
	State     string    `json:"state"` // init, backup, master, leaving, unknown
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason"` // of the last transition
	// Ineligible says what keeps this node from being master; empty if nothing does.
	Ineligible string `json:"ineligible,omitempty"`
	// Ceded is set after a hand-over on request until this node is master again: it
	// does not preempt.
	Ceded bool `json:"ceded,omitempty"`
	// SplitBrain is set while another node is master too; SplitBrains counts how
	// often that began since the director started.
	SplitBrain  *SplitBrain `json:"split_brain,omitempty"`
	SplitBrains uint64      `json:"split_brains"`
	// Transitions counts the changes of state by the state that was entered.
	Transitions map[string]uint64 `json:"transitions,omitempty"`

	// Priority is the effective one, as the speaker has it; BasePriority is the
	// configured one, and PriorityReason what the trackers say to it.
	Priority       uint8  `json:"priority"`
	BasePriority   uint8  `json:"base_priority"`
	PriorityReason string `json:"priority_reason,omitempty"`
	// Trackers are all that the router depends on.
	Trackers []TrackerStatus `json:"trackers,omitempty"`
	// Notified is absent as long as nobody was told anything.
	Notified  *NotifyStatus     `json:"notified,omitempty"`
	Interval  Milliseconds      `json:"interval_ms"`
	Source    string            `json:"source,omitempty"` // of own adverts
	Master    string            `json:"master,omitempty"` // address of the master, empty if unknown
	Peer      *PeerStatus       `json:"peer,omitempty"`   // absent: no advert was ever heard
	Sent      uint64            `json:"adverts_sent"`
	Received  uint64            `json:"adverts_received"`
	Dropped   map[string]uint64 `json:"packets_dropped,omitempty"` // by reason
	Lateness  Milliseconds      `json:"latest_lateness_ms"`
	MaxLate   Milliseconds      `json:"max_lateness_ms"`
	Addresses []AddressStatus   `json:"addresses"`
	// VirtualMAC is absent for a router that uses the interface's own MAC address.
	VirtualMAC *VirtualMAC `json:"virtual_mac,omitempty"`
	Problem    string      `json:"problem,omitempty"`
}

// VirtualMAC is the interface that has the MAC address of a virtual router, as the
// kernel has it.
type VirtualMAC struct {
	Interface string `json:"interface"`
	MAC       string `json:"mac,omitempty"` // absent if the interface is not there
	// Up says whether it receives and answers; absent if it could not be read.
	Up    *bool  `json:"up,omitempty"`
	Error string `json:"error,omitempty"`
}

// PeerStatus is the last advert that was heard from another router.
type PeerStatus struct {
	Address  string       `json:"address"`
	Priority uint8        `json:"priority"`
	Interval Milliseconds `json:"interval_ms"`
	Age      Milliseconds `json:"age_ms"`
}

// AddressStatus is one virtual address of a router.
type AddressStatus struct {
	Address   string `json:"address"` // with prefix length
	Interface string `json:"interface"`
	// Present says whether the kernel has it; absent if it could not be read.
	Present *bool `json:"present,omitempty"`
	// Ours is false for an address that somebody else put there.
	Ours bool `json:"ours"`
	// Extra marks an address that moves along without being advertised.
	Extra bool `json:"extra,omitempty"`
	// PutBack is how often within the last minute it was put back after another
	// program had removed it.
	PutBack int `json:"put_back,omitempty"`
	// Announced is when the last gratuitous ARP left; zero if none did.
	Announced time.Time `json:"announced,omitzero"`
	// Announcements counts the frames that announced it since it is held.
	Announcements uint64 `json:"announcements"`
	// ClaimedBy is the hardware address of the last other station that claimed
	// the address by ARP; absent if none was heard since the director started.
	ClaimedBy string        `json:"claimed_by,omitempty"`
	Claimed   *Milliseconds `json:"claimed_ms_ago,omitempty"`
	Error     string        `json:"error,omitempty"`
}

// ServiceStatus is one virtual service: the configuration's, with what the
// kernel has of it.
type ServiceStatus struct {
	Name      string `json:"name"`
	Router    string `json:"router"` // that holds its address
	Listen    string `json:"listen"`
	Protocol  string `json:"protocol"`
	Forward   string `json:"forward"`
	Scheduler string `json:"scheduler"`
	// Loaded says whether the kernel has it; absent if it could not be read.
	Loaded *bool        `json:"loaded,omitempty"`
	Stats  *Stats       `json:"stats,omitempty"`
	Pool   PoolStatus   `json:"pool"`
	Real   []RealStatus `json:"real"`
	// Sorry is the server for connections without a quorum; its health is
	// unchecked.
	Sorry *RealStatus `json:"sorry,omitempty"`
	// Leaving are servers that the configuration no longer has, while their
	// connections end.
	Leaving []LeavingStatus `json:"leaving,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// PoolStatus is what the policy of a service makes of its real servers.
type PoolStatus struct {
	// State is ok, below quorum, sorry (below it, the sorry server serves), panic
	// (nobody is taken out any more), or undecided before enough was checked.
	State  string `json:"state"`
	Quorum uint32 `json:"quorum"`
	// Up is the weight of the real servers that are up, All that of all which are
	// meant to serve.
	Up  float64 `json:"up_weight"`
	All float64 `json:"all_weight"`
}

// RemovedStatus is a service that leaves.
type RemovedStatus struct {
	Service string          `json:"service"` // as the kernel knows it
	Leaving []LeavingStatus `json:"leaving"`
}

// LeavingStatus is a server that leaves a service.
type LeavingStatus struct {
	Address  netip.AddrPort `json:"address"`
	Active   uint32         `json:"active_connections"`
	Inactive uint32         `json:"inactive_connections"`
	Since    time.Time      `json:"since"`
	// Until is when its connections are cut.
	Until time.Time `json:"until"`
}

// RealStatus is one real server of a service.
type RealStatus struct {
	Address netip.AddrPort `json:"address"`
	// Health is up, down, unknown, or unchecked where no check is configured.
	Health string `json:"health"`
	// Stale is set while no checker has confirmed the judgement.
	Stale bool `json:"stale,omitempty"`
	// HealthSince is when the health became so.
	HealthSince time.Time `json:"health_since,omitzero"`
	// Checked is how long ago the last check ended; absent before the first.
	Checked *Milliseconds `json:"checked_ms_ago,omitempty"`
	// Reason is the last result in short, such as "connection refused".
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Warning is set where the last check passed with something to look at, or
	// could not be made; the reason says what.
	Warning bool `json:"warning,omitempty"`
	// Checks are the checks that the health is made of.
	Checks []CheckStatus `json:"checks,omitempty"`
	// Configured is the configured weight.
	Configured uint32 `json:"configured_weight"`
	// Weight is the weight in the kernel; absent if it is not there.
	Weight *uint32 `json:"weight,omitempty"`
	// Overrides are what operators said of it.
	Overrides []Override `json:"overrides,omitempty"`
	// Rising is the weight that a slow start leads to; absent without one. Where
	// slow_start is set, the kernel's weights are multiples of the configured ones.
	Rising   uint32 `json:"rising_to_weight,omitempty"`
	Active   uint32 `json:"active_connections"`
	Inactive uint32 `json:"inactive_connections"`
	Stats    *Stats `json:"stats,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Stats are the kernel's counters since the object was loaded.
type Stats struct {
	Connections uint64 `json:"connections"`
	InPackets   uint64 `json:"in_packets"`
	OutPackets  uint64 `json:"out_packets"`
	InBytes     uint64 `json:"in_bytes"`
	OutBytes    uint64 `json:"out_bytes"`
}
