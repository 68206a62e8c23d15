package ipvsbench

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// bulk is a number of services with a number of real servers each.
type bulk struct{ services, servers int }

const bulkVIP = "192.0.2.100"

func (s bulk) key(i int) ipvsctl.ServiceKey {
	return ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: netip.MustParseAddr(bulkVIP), Port: uint16(10000 + i)}
}

func (s bulk) server(i, j int) string { return fmt.Sprintf("10.%d.%d.%d", j, i/250, i%250+1) }

// weight of a real server, where that of the last one in the middle is special.
func (s bulk) weight(i, j, special int) int {
	if i == s.services/2 && j == s.servers-1 {
		return special
	}
	return 10
}

func (s bulk) haldir(special int, load string) string {
	var t strings.Builder
	fmt.Fprintf(&t, "[[vrrp]]\nname = \"edge\"\ninterface = \"lan\"\nrouter_id = 51\npriority = 150\ninterval = \"1s\"\naddresses = [\"%s/24\"]\n", bulkVIP)
	for i := range s.services {
		fmt.Fprintf(&t, "\n[[service]]\nname = \"s%05d\"\nlisten = [\"%s:%d\"]\nscheduler = \"wrr\"\nload = %q\n", i, bulkVIP, 10000+i, load)
		for j := range s.servers {
			fmt.Fprintf(&t, "[[service.real]]\naddress = %q\nweight = %d\n", s.server(i, j), s.weight(i, j, special))
		}
	}
	return t.String()
}

func (s bulk) keepalived(special int) string {
	var t strings.Builder
	for i := range s.services {
		fmt.Fprintf(&t, "virtual_server %s %d {\n lb_algo wrr\n lb_kind DR\n protocol TCP\n", bulkVIP, 10000+i)
		for j := range s.servers {
			fmt.Fprintf(&t, " real_server %s %d {\n  weight %d\n }\n", s.server(i, j), 10000+i, s.weight(i, j, special))
		}
		t.WriteString("}\n")
	}
	return t.String()
}
