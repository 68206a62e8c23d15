package metrics

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/haldir-lb/haldir/internal/control"
)

// full is a status in which every metric has a value.
func full() *control.Status {
	yes, weight := true, uint32(2)
	stats := &control.Stats{Connections: 1, InPackets: 2, OutPackets: 3, InBytes: 1 << 40, OutBytes: 5}
	return &control.Status{
		Node: "lvs1", Release: `1.0 "beta" \n`, EventsLost: 3, Maintenance: &control.Maintenance{},
		Config:    control.ConfigStatus{Digest: "abc", Loaded: time.UnixMilli(1893456000500), LastReload: &control.ReloadResult{}},
		Processes: []control.ProcessStatus{{Role: "speaker", PID: 7, Restarts: 2}, {Role: "checker"}},
		Directors: []control.DirectorStatus{{Node: "lvs2", Age: control.Of(1500 * time.Millisecond), SameConfig: true}},
		Lateness: &control.LatenessStatus{Count: 5, Sum: control.Of(1250 * time.Millisecond), Max: control.Of(time.Second), Buckets: []control.LatenessBucket{
			{Bound: control.Of(time.Millisecond), Count: 3}, {Bound: control.Of(time.Second), Count: 5},
		}},
		Routers: []control.RouterStatus{
			{
				Name: "edge", State: "master", Since: time.UnixMilli(1893456000000), Priority: 150, Interval: control.Of(100 * time.Millisecond), Ineligible: "x",
				Transitions: map[string]uint64{"master": 2, "backup": 1}, Sent: 10, Received: 11, Dropped: map[string]uint64{"checksum": 4},
				Peer: &control.PeerStatus{Address: "192.0.2.2", Age: control.Of(30 * time.Millisecond)}, SplitBrain: &control.SplitBrain{}, SplitBrains: 6,
				MaxLate:   control.Of(2 * time.Millisecond),
				Addresses: []control.AddressStatus{{Address: "192.0.2.100/24", Interface: "eth0", Present: &yes, Announcements: 20}},
			},
			{Name: "lost", State: "unknown"},
		},
		Services: []control.ServiceStatus{{
			Name: "web", Listen: "192.0.2.100:80", Protocol: "tcp", Loaded: &yes, Stats: stats,
			Real: []control.RealStatus{
				{Address: netip.MustParseAddrPort("192.0.2.11:80"), Health: "up", Weight: &weight, Active: 3, Inactive: 4, Stats: stats},
				{Address: netip.MustParseAddrPort("192.0.2.12:80"), Health: "down", Stale: true},
				{Address: netip.MustParseAddrPort("192.0.2.13:80"), Health: "unknown"},
			},
		}},
		Problems: []string{"a", "b"},
	}
}

// parse reads metrics as Prometheus does.
func parse(t *testing.T, s *control.Status) map[string]*dto.MetricFamily {
	t.Helper()
	var text bytes.Buffer
	if err := Write(&text, s); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&text)
	if err != nil {
		t.Fatalf("Prometheus cannot read it: %v", err)
	}
	return families
}

// values returns the samples of a metric by their labels.
func values(f *dto.MetricFamily) map[string]float64 {
	all := make(map[string]float64)
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		value := m.GetGauge().GetValue()
		if m.Counter != nil {
			value = m.GetCounter().GetValue()
		}
		all[strings.Join(labels, " ")] = value
	}
	return all
}

func TestPrometheusReadsWhatIsWritten(t *testing.T) {
	families := parse(t, full())
	for name, want := range map[string]map[string]float64{
		"haldir_info":                               {`node=lvs1 release=1.0 "beta" \n`: 1},
		"haldir_problems":                           {"": 2},
		"haldir_maintenance":                        {"": 1},
		"haldir_config_loaded_timestamp_seconds":    {"": 1893456000.5},
		"haldir_config_reload_refused":              {"": 1},
		"haldir_process_up":                         {"process=speaker": 1, "process=checker": 0},
		"haldir_process_restarts_total":             {"process=speaker": 2, "process=checker": 0},
		"haldir_peer_last_message_seconds":          {"peer=lvs2": 1.5},
		"haldir_vrrp_interval_seconds":              {"router=edge": 0.1},
		"haldir_vrrp_transitions_total":             {"router=edge to=master": 2, "router=edge to=backup": 1},
		"haldir_vrrp_packets_dropped_total":         {"router=edge reason=checksum": 4},
		"haldir_vrrp_adverts_sent_total":            {"router=edge": 10},
		"haldir_vrrp_split_brain":                   {"router=edge": 1},
		"haldir_vrrp_address_present":               {"router=edge address=192.0.2.100/24 interface=eth0": 1},
		"haldir_service_in_bytes_total":             {"service=web listen=192.0.2.100:80 protocol=tcp": 1 << 40},
		"haldir_real_up":                            {"service=web listen=192.0.2.100:80 protocol=tcp real=192.0.2.11:80": 1, "service=web listen=192.0.2.100:80 protocol=tcp real=192.0.2.12:80": 0},
		"haldir_real_weight":                        {"service=web listen=192.0.2.100:80 protocol=tcp real=192.0.2.11:80": 2},
		"haldir_vrrp_state_since_timestamp_seconds": {"router=edge": 1893456000},
	} {
		if got := values(families[name]); !maps.Equal(got, want) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	states := values(families["haldir_vrrp_state"])
	if states["router=edge state=master"] != 1 || states["router=edge state=backup"] != 0 || states["router=lost state=unknown"] != 1 || len(states) != 10 {
		t.Errorf("states %v", states)
	}
	h := families["haldir_vrrp_advert_lateness_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 5 || h.GetSampleSum() != 1.25 || len(h.GetBucket()) != 3 || h.GetBucket()[0].GetCumulativeCount() != 3 || h.GetBucket()[0].GetUpperBound() != 0.001 {
		t.Errorf("histogram %v", h)
	}
}

// TestEveryMetricHasAValue keeps full full, and so the others honest.
func TestEveryMetricHasAValue(t *testing.T) {
	families := parse(t, full())
	for _, d := range Describe() {
		f := families[d.Name]
		if f == nil {
			t.Errorf("%s has no value", d.Name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != d.Kind {
			t.Errorf("%s is a %s, want a %s", d.Name, got, d.Kind)
		}
		delete(families, d.Name)
	}
	for name := range families {
		t.Errorf("%s is not described", name)
	}
}

// What is unknown is left out: a zero would be a statement.
func TestWhatIsUnknownIsLeftOut(t *testing.T) {
	families := parse(t, &control.Status{Routers: []control.RouterStatus{{Name: "lost", State: "unknown"}}, Services: []control.ServiceStatus{{Name: "web"}}})
	for _, name := range []string{"haldir_vrrp_priority", "haldir_vrrp_adverts_sent_total", "haldir_vrrp_advert_lateness_seconds", "haldir_service_loaded", "haldir_service_connections_total"} {
		if f, there := families[name]; there {
			t.Errorf("%s = %v", name, values(f))
		}
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	plain := regexp.MustCompile(`^haldir_[a-z][a-z0-9_]*$`)
	seen := make(map[string]bool)
	for _, d := range Describe() {
		if !plain.MatchString(d.Name) || seen[d.Name] || d.Help == "" {
			t.Errorf("%+v", d)
		}
		seen[d.Name] = true
		if (d.Kind == "counter") != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s is a %s", d.Name, d.Kind)
		}
	}
}

// TestDocumentationListsEveryMetric compares the table of docs/metrics.md.
func TestDocumentationListsEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `haldir_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	for _, d := range Describe() {
		labels := ""
		for _, l := range d.Labels {
			labels += "`" + l + "` "
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s| %s |", d.Name, d.Kind, labels, d.Help))
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md has to have these rows:\n%s", strings.Join(want, "\n"))
	}
}
