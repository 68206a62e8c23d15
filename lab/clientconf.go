package lab

import (
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/lab/traffic"
)

// clientConfig is what the client does: UDP requests to the first UDP service,
// connections to the first TCP service.
func (s Spec) clientConfig() traffic.ClientConfig {
	cfg := traffic.ClientConfig{Timeout: s.Client.Timeout.D()}
	for _, f := range s.families() {
		vip := host(f.segment, hostVIP)
		if service, ok := s.service("udp"); ok && s.Client.UDP > 0 {
			cfg.UDP = append(cfg.UDP, traffic.UDPConfig{
				Target: netip.AddrPortFrom(vip, service.Port), Rate: s.Client.UDP,
				Interface: Interface, Sources: f.flowSources,
			})
		}
		if service, ok := s.service("tcp"); ok && s.Client.TCP > 0 {
			cfg.TCP = append(cfg.TCP, traffic.TCPConfig{
				Target: netip.AddrPortFrom(vip, service.Port), Rate: s.Client.TCP, Sources: f.clientSources(),
			})
		}
	}
	return cfg
}

// streams are the names under which the client accounts for its requests.
func (s Spec) streams() []string {
	var names []string
	cfg := s.clientConfig()
	for _, udp := range cfg.UDP {
		names = append(names, traffic.StreamName("udp", udp.Target.Addr()))
	}
	for _, tcp := range cfg.TCP {
		names = append(names, traffic.StreamName("tcp", tcp.Target.Addr()))
	}
	return names
}

// clientSources are the addresses that the client connects from.
func (f networks) clientSources() []netip.Addr {
	var sources []netip.Addr
	for i := range clientAddresses {
		sources = append(sources, host(f.clientSide, hostClient+i))
	}
	return sources
}

func (s Spec) service(protocol string) (Service, bool) {
	i := slices.IndexFunc(s.Services, func(service Service) bool { return service.Protocol == protocol && !service.Stream })
	if i < 0 {
		return Service{}, false
	}
	return s.Services[i], true
}

// realPorts are the ports that responders answer on, or those on which they do so
// without end.
func (s Spec) realPorts(streams bool) []uint16 {
	var ports []uint16
	for _, service := range s.Services {
		if service.Stream != streams {
			continue
		}
		port := service.Port
		if service.RealPort != 0 {
			port = service.RealPort
		}
		ports = append(ports, port)
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// downloadConfig opens so many connections, in each family, to the first service
// that streams.
func (s Spec) downloadConfig(count int) (traffic.DownloadConfig, bool) {
	i := slices.IndexFunc(s.Services, func(service Service) bool { return service.Stream })
	if i < 0 {
		return traffic.DownloadConfig{}, false
	}
	cfg := traffic.DownloadConfig{Count: count}
	for _, f := range s.families() {
		cfg.Targets = append(cfg.Targets, netip.AddrPortFrom(host(f.segment, hostVIP), s.Services[i].Port))
		cfg.Sources = append(cfg.Sources, f.clientSources()...)
	}
	return cfg, true
}
