package metrics

import "github.com/haldir-lb/haldir/internal/control"

// perService collects of each virtual service.
func perService(collect func(s *control.ServiceStatus, out emit)) func(*control.Status, emit) {
	return func(s *control.Status, out emit) {
		for i := range s.Services {
			collect(&s.Services[i], out)
		}
	}
}

// perReal collects of each real server.
func perReal(collect func(r *control.RealStatus, out func(value float64))) func(*control.Status, emit) {
	return perService(func(s *control.ServiceStatus, out emit) {
		for i := range s.Real {
			r := &s.Real[i]
			collect(r, func(value float64) { out("", value, s.Name, s.Listen, s.Protocol, r.Address.String()) })
		}
	})
}

// serviceStats collects one of the kernel's counters of a service, where it has them.
func serviceStats(pick func(*control.Stats) uint64) func(*control.Status, emit) {
	return perService(func(s *control.ServiceStatus, out emit) {
		if s.Stats != nil {
			out("", float64(pick(s.Stats)), s.Name, s.Listen, s.Protocol)
		}
	})
}

// realStats does the same of a real server.
func realStats(pick func(*control.Stats) uint64) func(*control.Status, emit) {
	return perReal(func(r *control.RealStatus, out func(float64)) {
		if r.Stats != nil {
			out(float64(pick(r.Stats)))
		}
	})
}

var (
	service    = []string{"service", "listen", "protocol"}
	realServer = []string{"service", "listen", "protocol", "real"}
)

var serviceFamilies = []family{
	{"haldir_service_loaded", gauge, "1 if the kernel has the IPVS service.", service, perService(func(s *control.ServiceStatus, out emit) {
		if s.Loaded != nil {
			out("", boolean(*s.Loaded), s.Name, s.Listen, s.Protocol)
		}
	})},
	{"haldir_service_connections_total", counter, "Connections of the service, by IPVS.", service, serviceStats(func(s *control.Stats) uint64 { return s.Connections })},
	{"haldir_service_in_packets_total", counter, "Packets to the service, by IPVS.", service, serviceStats(func(s *control.Stats) uint64 { return s.InPackets })},
	{"haldir_service_out_packets_total", counter, "Packets from the service, by IPVS; with NAT alone.", service, serviceStats(func(s *control.Stats) uint64 { return s.OutPackets })},
	{"haldir_service_in_bytes_total", counter, "Octets to the service, by IPVS.", service, serviceStats(func(s *control.Stats) uint64 { return s.InBytes })},
	{"haldir_service_out_bytes_total", counter, "Octets from the service, by IPVS; with NAT alone.", service, serviceStats(func(s *control.Stats) uint64 { return s.OutBytes })},
	{"haldir_real_up", gauge, "1 if the real server is up or not checked, 0 if it is down; absent before the first check.", realServer, perReal(func(r *control.RealStatus, out func(float64)) {
		switch r.Health {
		case "up", "unchecked":
			out(1)
		case "down":
			out(0)
		}
	})},
	{"haldir_real_stale", gauge, "1 while nothing new is known of the real server.", realServer, perReal(func(r *control.RealStatus, out func(float64)) { out(boolean(r.Stale)) })},
	{"haldir_real_weight", gauge, "The weight in the kernel; absent if it is not there.", realServer, perReal(func(r *control.RealStatus, out func(float64)) {
		if r.Weight != nil {
			out(float64(*r.Weight))
		}
	})},
	{"haldir_real_active_connections", gauge, "Active connections, by IPVS.", realServer, perReal(func(r *control.RealStatus, out func(float64)) {
		if r.Weight != nil {
			out(float64(r.Active))
		}
	})},
	{"haldir_real_inactive_connections", gauge, "Inactive connections, by IPVS.", realServer, perReal(func(r *control.RealStatus, out func(float64)) {
		if r.Weight != nil {
			out(float64(r.Inactive))
		}
	})},
	{"haldir_real_connections_total", counter, "Connections of the real server, by IPVS.", realServer, realStats(func(s *control.Stats) uint64 { return s.Connections })},
	{"haldir_real_in_packets_total", counter, "Packets to the real server, by IPVS.", realServer, realStats(func(s *control.Stats) uint64 { return s.InPackets })},
	{"haldir_real_in_bytes_total", counter, "Octets to the real server, by IPVS.", realServer, realStats(func(s *control.Stats) uint64 { return s.InBytes })},
}
