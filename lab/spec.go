package lab

import (
	"fmt"
	"time"
)

// Forwarding modes of a lab.
const (
	ForwardDR  = "dr"
	ForwardTUN = "tun"
	ForwardNAT = "nat"
	// ForwardNone has no services: the directors move the address alone and
	// answer the client themselves. It needs no ip_vs.
	ForwardNone = "none"
)

// Spec describes a lab. DefaultSpec returns one that works; ParseSpec reads one
// from TOML.
type Spec struct {
	Lab      Settings  `toml:"lab"`
	Client   Requests  `toml:"client"`
	Services []Service `toml:"service"`
	// Steps are what Play does to the lab, in order.
	Steps []Step `toml:"step"`
}

// Settings are the cluster's.
type Settings struct {
	Directors   int `toml:"directors"`    // 1..8
	RealServers int `toml:"real_servers"` // 1..32, none with ForwardNone
	// DirectorsServe makes each director a real server as well, as in a pair of
	// two machines: RealServers may be 0 then. For dr and tun.
	DirectorsServe bool   `toml:"directors_serve"`
	Forward        string `toml:"forward"` // dr, tun, nat, none
	// IPv6 gives the lab everything twice: addresses, services, and what the client
	// sends. The second services and streams have a 6 at the end of their names.
	IPv6 bool `toml:"ipv6"`
	// Interval between adverts: 10ms..40.95s, a multiple of 10ms.
	Interval Duration `toml:"interval"`
	Preempt  bool     `toml:"preempt"`
	// CheckEvery is the time between two checks of a real server and the bound
	// of one: 100ms..1h. CheckFall failures in a row take it out, CheckRise
	// successes bring it back: 1..100.
	CheckEvery Duration `toml:"check_every"`
	CheckFall  int      `toml:"check_fall"`
	CheckRise  int      `toml:"check_rise"`
	// CheckVIP has the checks go to the virtual address, through the forwarding path.
	CheckVIP bool `toml:"check_vip"`
	// VMAC gives the virtual addresses the MAC addresses of VRRP.
	VMAC bool `toml:"vmac"`
	// Second is a virtual address, with prefix length, besides the lab's own; empty is
	// none.
	Second string `toml:"second"`
	// Extra is appended to the generated configuration as it is.
	Extra string `toml:"extra"`
}

// Requests are what the client sends.
type Requests struct {
	UDP     int      `toml:"udp"`     // requests per second and family, 0..10000
	TCP     int      `toml:"tcp"`     // connections per second and family, 0..10000
	Timeout Duration `toml:"timeout"` // after which a request counts as lost: 10ms..1m
}

// Service is one balanced service on the lab's virtual address.
type Service struct {
	Name      string `toml:"name"`
	Protocol  string `toml:"protocol"`  // udp, tcp
	Port      uint16 `toml:"port"`      // on the virtual address
	RealPort  uint16 `toml:"real_port"` // 0 is Port; another only with ForwardNAT
	Scheduler string `toml:"scheduler"` // empty is rr
	// Stream has the real servers answer a connection without end.
	Stream bool `toml:"stream"`
	// Extra are lines that are added to the generated [[service]].
	Extra string `toml:"extra"`
}

// Duration is a time.Duration that is written as text, such as "100ms".
type Duration time.Duration

// UnmarshalText reads the text of a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"100ms\"", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText is the reverse of UnmarshalText.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string { return time.Duration(d).String() }

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// servicePort is the port of the default services on the virtual address;
// mappedPort is that of the real servers with ForwardNAT.
const (
	servicePort = 8000
	mappedPort  = 9000
)

// DefaultSpec returns two directors and two real servers behind a UDP and a TCP
// service, with 1000 UDP requests and 20 connections a second: a connection costs
// a guest kernel under emulation as much as ten requests.
func DefaultSpec(forward string) Spec {
	s := Spec{
		Lab: Settings{
			Directors: 2, RealServers: 2, Forward: forward,
			Interval: Duration(100 * time.Millisecond), Preempt: true,
			CheckEvery: Duration(500 * time.Millisecond), CheckFall: 2, CheckRise: 2,
		},
		Client: Requests{UDP: 1000, TCP: 20, Timeout: Duration(time.Second)},
	}
	s.Services = defaultServices(forward)
	if forward == ForwardNone {
		s.Lab.RealServers = 0
	}
	return s
}

func defaultServices(forward string) []Service {
	services := []Service{
		{Name: "udp", Protocol: "udp", Port: servicePort},
		{Name: "tcp", Protocol: "tcp", Port: servicePort},
	}
	if forward == ForwardNAT {
		for i := range services {
			services[i].RealPort = mappedPort
		}
	}
	return services
}
