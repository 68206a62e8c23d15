package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

const continuityDoc = `[[vrrp]]
name = "edge"
interface = "eth0"
router_id = 51
priority = { lvs1 = 150, lvs2 = 100 }
addresses = ["192.0.2.100/24"]
[[service]]
name = "web"
listen = ["192.0.2.100:80"]
real = [{ address = "192.0.2.11" }]
`

func TestConnectionSyncValues(t *testing.T) {
	c := load(t, write(t, "a.toml", continuityDoc+"[connection_sync]\ninterface = \"eth10\"\nid = 7\n"), testHost())
	want := ConnectionSync{
		Interface: "eth10", ID: 7, Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1, Refresh: 10 * time.Second, Retries: 1,
	}
	if c.Sync == nil || *c.Sync != want {
		t.Errorf("connection_sync = %+v, want %+v", c.Sync, want)
	}
	c = load(t, write(t, "b.toml", continuityDoc+`[connection_sync]
interface = '{{ GetDefaultInterfaces | attr "name" }}'
id = 255
group = "239.1.1.1"
port = 1
ttl = 255
refresh = "10m"
retries = 0
queue = 2147483647
`), Options{Node: "rs1", Hostname: testHost().Hostname, Addresses: testHost().Addresses})
	want = ConnectionSync{
		Interface: c.Sync.Interface, InterfaceTemplate: c.Sync.InterfaceTemplate, ID: 255, Group: netip.MustParseAddr("239.1.1.1"),
		Port: 1, TTL: 255, Refresh: 10 * time.Minute, Queue: 1<<31 - 1,
	}
	if *c.Sync != want || c.Sync.InterfaceTemplate == "" {
		t.Errorf("connection_sync = %+v, want %+v", *c.Sync, want)
	}
	if !strings.Contains(c.Canonical(), "[connection_sync]\ninterface = \"{{") {
		t.Errorf("the canonical text has the interface of this node: %s", c.Canonical())
	}
}

func TestStatelessPicksAScheduler(t *testing.T) {
	for keys, want := range map[string]string{
		"stateless = true\n":                        "mh",
		"stateless = true\nscheduler = \"sh\"\n":    "sh",
		"stateless = false\nscheduler = \"wrr\"\n":  "wrr",
		"stateless = true\nforward = \"tun\"\n":     "mh",
		"load = \"always\"\nstateless = false\n":    "wlc",
		"load = \"always\"\nscheduler = \"wlc\"\n":  "wlc",
		"load = \"master\"\nforward = \"nat\"\n":    "wlc",
		"persistence = \"1s\"\nload = \"always\"\n": "wlc",
	} {
		s := load(t, write(t, "a.toml", continuityDoc+keys), testHost()).Services[0]
		if s.Scheduler != want || s.Stateless != strings.Contains(keys, "stateless = true") || s.LoadAlways != strings.Contains(keys, "always") {
			t.Errorf("%q gives scheduler %s, stateless %v, load always %v", keys, s.Scheduler, s.Stateless, s.LoadAlways)
		}
	}
}

// TestPersistenceWithSyncIsWarnedOf: templates are of no use to a master that did
// not know the real server when it learned of them.
func TestPersistenceWithSyncIsWarnedOf(t *testing.T) {
	const sync = "[connection_sync]\ninterface = \"eth10\"\nid = 7\n"
	for keys, want := range map[string]int{"persistence = \"5m\"\n": 1, "persistence = \"5m\"\nload = \"always\"\n": 0, "": 0} {
		c := load(t, write(t, "a.toml", continuityDoc+keys+sync), testHost())
		if len(c.Warnings) != want {
			t.Errorf("%q gives warnings %v, want %d", keys, c.Warnings, want)
		}
	}
}
