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
	if service, ok := s.service("udp"); ok {
		cfg.UDP = traffic.UDPConfig{
			Target: netip.AddrPortFrom(s.VIP(), service.Port), Rate: s.Client.UDP,
			Interface: Interface, Sources: flowSources,
		}
	}
	if service, ok := s.service("tcp"); ok {
		cfg.TCP = traffic.TCPConfig{Target: netip.AddrPortFrom(s.VIP(), service.Port), Rate: s.Client.TCP}
		for i := range clientAddresses {
			cfg.TCP.Sources = append(cfg.TCP.Sources, host(clientSide, hostClient+i))
		}
	}
	return cfg
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

// downloadConfig opens so many connections to the first service that streams.
func (s Spec) downloadConfig(count int) (traffic.DownloadConfig, bool) {
	i := slices.IndexFunc(s.Services, func(service Service) bool { return service.Stream })
	if i < 0 {
		return traffic.DownloadConfig{}, false
	}
	cfg := traffic.DownloadConfig{Target: netip.AddrPortFrom(s.VIP(), s.Services[i].Port), Count: count}
	for i := range clientAddresses {
		cfg.Sources = append(cfg.Sources, host(clientSide, hostClient+i))
	}
	return cfg, true
}
