package ipvsnl

import (
	"strings"
	"testing"
)

const tableExample = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000264:0050 wlc persistent 300 FFFFFFFF
  -> C000020C:0050      Route   1      0          0         
  -> C000020B:0050      Route   10     123456789  7         
TCP  [2001:0db8:0000:0000:0000:0000:0000:0064]:0050 mh
  -> [2001:0db8:0000:0000:0000:0000:0000:000b]:0050      Tunnel  1      0          0         
FWM  00000007 rr
`

func TestFingerprintTellsChangesFromTraffic(t *testing.T) {
	sum := func(text string) uint64 {
		n, err := fingerprint(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := sum(tableExample)
	for name, c := range map[string]struct {
		old, next string
		same      bool
	}{
		"counters":         {"123456789  7         ", "0          3000000000", true},
		"IPv6 counters":    {"Tunnel  1      0          0         ", "Tunnel  1      5          6         ", true},
		"weight":           {"Route   10     ", "Route   1      ", false},
		"zero weight":      {"Route   1      0", "Route   0      0", false},
		"forwarding":       {"C000020C:0050      Route", "C000020C:0050      Masq ", false},
		"address":          {"C000020C", "C000020D", false},
		"scheduler":        {"wlc", "rr", false},
		"persistence":      {"300", "30", false},
		"one service gone": {"FWM  00000007 rr\n", "", false},
		"a server gone":    {"  -> C000020C:0050      Route   1      0          0         \n", "", false},
	} {
		text := strings.Replace(tableExample, c.old, c.next, 1)
		if text == tableExample {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if (sum(text) == before) != c.same {
			t.Errorf("%s: the same fingerprint = %v, want %v", name, !c.same, c.same)
		}
	}
}
