package metrics

import (
	"maps"
	"slices"
	"strconv"

	"github.com/haldir-lb/haldir/internal/control"
)

// states are those that a virtual router may be in.
var states = []string{"init", "backup", "master", "leaving", "unknown"}

// perRouter collects of each virtual router.
func perRouter(collect func(r *control.RouterStatus, out emit)) func(*control.Status, emit) {
	return func(s *control.Status, out emit) {
		for i := range s.Routers {
			collect(&s.Routers[i], out)
		}
	}
}

// live is perRouter of those whose state is known.
func live(collect func(r *control.RouterStatus, out emit)) func(*control.Status, emit) {
	return perRouter(func(r *control.RouterStatus, out emit) {
		if r.State != "unknown" {
			collect(r, out)
		}
	})
}

// counts emits a map of counters in a stable order.
func counts(out emit, router string, m map[string]uint64) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out("", float64(m[key]), router, key)
	}
}

var router = []string{"router"}

var vrrpFamilies = []family{
	{"haldir_vrrp_state", gauge, "1 for the state that the virtual router is in, 0 for the others.", []string{"router", "state"}, perRouter(func(r *control.RouterStatus, out emit) {
		for _, state := range states {
			out("", boolean(r.State == state), r.Name, state)
		}
	})},
	{"haldir_vrrp_state_since_timestamp_seconds", gauge, "When that state was entered.", router, live(func(r *control.RouterStatus, out emit) {
		out("", float64(r.Since.UnixMilli())/1000, r.Name)
	})},
	{"haldir_vrrp_priority", gauge, "The effective priority.", router, live(func(r *control.RouterStatus, out emit) {
		out("", float64(r.Priority), r.Name)
	})},
	{"haldir_vrrp_interval_seconds", gauge, "The advertisement interval.", router, live(func(r *control.RouterStatus, out emit) {
		out("", seconds(r.Interval), r.Name)
	})},
	{"haldir_vrrp_ineligible", gauge, "1 while something keeps this node from being master.", router, live(func(r *control.RouterStatus, out emit) {
		out("", boolean(r.Ineligible != ""), r.Name)
	})},
	{"haldir_vrrp_transitions_total", counter, "Changes of state, by the state that was entered.", []string{"router", "to"}, live(func(r *control.RouterStatus, out emit) {
		counts(out, r.Name, r.Transitions)
	})},
	{"haldir_vrrp_adverts_sent_total", counter, "Adverts that were handed to the kernel.", router, live(func(r *control.RouterStatus, out emit) {
		out("", float64(r.Sent), r.Name)
	})},
	{"haldir_vrrp_adverts_received_total", counter, "Valid adverts of other routers.", router, live(func(r *control.RouterStatus, out emit) {
		out("", float64(r.Received), r.Name)
	})},
	{"haldir_vrrp_packets_dropped_total", counter, "Packets with this VRID that failed a receive check, by the check.", []string{"router", "reason"}, live(func(r *control.RouterStatus, out emit) {
		counts(out, r.Name, r.Dropped)
	})},
	{"haldir_vrrp_peer_advert_age_seconds", gauge, "Age of the last valid advert of another router; absent if none was heard.", []string{"router", "peer"}, live(func(r *control.RouterStatus, out emit) {
		if r.Peer != nil {
			out("", seconds(r.Peer.Age), r.Name, r.Peer.Address)
		}
	})},
	{"haldir_vrrp_split_brain", gauge, "1 while another node is master too, by adverts or ARP.", router, live(func(r *control.RouterStatus, out emit) {
		out("", boolean(r.SplitBrain != nil), r.Name)
	})},
	{"haldir_vrrp_split_brains_total", counter, "How often that began since the director started.", router, live(func(r *control.RouterStatus, out emit) {
		out("", float64(r.SplitBrains), r.Name)
	})},
	{"haldir_vrrp_timer_lateness_max_seconds", gauge, "The latest that any timer of the virtual router was handled.", router, live(func(r *control.RouterStatus, out emit) {
		out("", seconds(r.MaxLate), r.Name)
	})},
	{"haldir_vrrp_advert_lateness_seconds", histogram, "How late adverts were sent, counted from when each was due.", nil, func(s *control.Status, out emit) {
		l := s.Lateness
		if l == nil {
			return
		}
		for _, b := range l.Buckets {
			out("_bucket", float64(b.Count), "le", strconv.FormatFloat(seconds(b.Bound), 'g', -1, 64))
		}
		out("_bucket", float64(l.Count), "le", "+Inf")
		out("_sum", seconds(l.Sum))
		out("_count", float64(l.Count))
	}},
	{"haldir_vrrp_advert_lateness_max_seconds", gauge, "The latest that any advert was sent.", nil, func(s *control.Status, out emit) {
		if s.Lateness != nil {
			out("", seconds(s.Lateness.Max))
		}
	}},
	{"haldir_vrrp_address_present", gauge, "1 if the kernel has the virtual address on the interface.", []string{"router", "address", "interface"}, perRouter(func(r *control.RouterStatus, out emit) {
		for _, a := range r.Addresses {
			if a.Present != nil {
				out("", boolean(*a.Present), r.Name, a.Address, a.Interface)
			}
		}
	})},
	{"haldir_vrrp_announcements_total", counter, "Frames that announced the address since it is held.", []string{"router", "address", "interface"}, perRouter(func(r *control.RouterStatus, out emit) {
		for _, a := range r.Addresses {
			out("", float64(a.Announcements), r.Name, a.Address, a.Interface)
		}
	})},
}
