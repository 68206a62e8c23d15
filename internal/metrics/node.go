package metrics

import "github.com/haldir-lb/haldir/internal/control"

var nodeFamilies = []family{
	{"haldir_info", gauge, "Always 1.", []string{"node", "release"}, func(s *control.Status, out emit) {
		out("", 1, s.Node, s.Release)
	}},
	{"haldir_problems", gauge, "How many lines haldir status shows as problems.", nil, func(s *control.Status, out emit) {
		out("", float64(len(s.Problems)))
	}},
	{"haldir_unknown", gauge, "How many parts of the status could not be read.", nil, func(s *control.Status, out emit) {
		out("", float64(len(s.Unknown)))
	}},
	{"haldir_maintenance", gauge, "1 while an operator keeps this node from becoming master.", nil, func(s *control.Status, out emit) {
		out("", boolean(s.Maintenance != nil))
	}},
	{"haldir_config_info", gauge, "Always 1. The digest is equal on directors with the same configuration.", []string{"digest"}, func(s *control.Status, out emit) {
		out("", 1, s.Config.Digest)
	}},
	{"haldir_config_loaded_timestamp_seconds", gauge, "When the configuration in force was loaded.", nil, func(s *control.Status, out emit) {
		out("", float64(s.Config.Loaded.UnixMilli())/1000)
	}},
	{"haldir_config_reload_refused", gauge, "1 if the last reload was refused.", nil, func(s *control.Status, out emit) {
		out("", boolean(s.Config.LastReload != nil && !s.Config.LastReload.Applied))
	}},
	{"haldir_process_up", gauge, "1 while the process runs.", []string{"process"}, func(s *control.Status, out emit) {
		for _, p := range s.Processes {
			out("", boolean(p.PID != 0), p.Role)
		}
	}},
	{"haldir_process_restarts_total", counter, "How often the process was restarted after it died.", []string{"process"}, func(s *control.Status, out emit) {
		for _, p := range s.Processes {
			out("", float64(p.Restarts), p.Role)
		}
	}},
	{"haldir_events_lost_total", counter, "Events of the journal that never came to the disk.", nil, func(s *control.Status, out emit) {
		out("", float64(s.EventsLost))
	}},
	{"haldir_peer_last_message_seconds", gauge, "Age of the last message of another director.", []string{"peer"}, func(s *control.Status, out emit) {
		for _, d := range s.Directors {
			out("", seconds(d.Age), d.Node)
		}
	}},
	{"haldir_peer_same_config", gauge, "1 if the other director has the same configuration.", []string{"peer"}, func(s *control.Status, out emit) {
		for _, d := range s.Directors {
			if !d.Silent {
				out("", boolean(d.SameConfig), d.Node)
			}
		}
	}},
}
