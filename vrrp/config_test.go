package vrrp

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidateNamesEveryFault(t *testing.T) {
	if err := new(config(100)).Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
	for _, interval := range []time.Duration{MinInterval, MaxInterval} {
		cfg := config(1)
		cfg.Interval = interval
		if err := cfg.Validate(); err != nil {
			t.Errorf("interval %v: %v", interval, err)
		}
	}
	bad := RouterConfig{Name: "edge", Interval: 15 * time.Millisecond, PreemptDelay: -1,
		Addresses: []netip.Addr{vip, netip.IPv6Loopback(), alpha6.WithZone("eth0"), netip.AddrFrom16(vip.As16())}}
	err := bad.Validate()
	for _, want := range []string{"an interface is needed", "VRID 0", "priority 0", "interval 15ms: must be a multiple of 10ms from 10ms to 40.95s",
		"preempt delay -1ns", "address ::1: must be IPv4 like the first one", "address fe80::1%eth0: must be an IPv4 or IPv6 address without zone",
		"address ::ffff:192.0.2.100: must be an IPv4 or IPv6 address without zone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, lacks %q", err, want)
		}
	}
	if err := new(RouterConfig{}).Validate(); !strings.Contains(err.Error(), "needs a name") || !strings.Contains(err.Error(), "0 addresses: must be 1..255") {
		t.Errorf("Validate of nothing = %v", err)
	}
}

func TestStateText(t *testing.T) {
	for state, want := range map[State]string{Init: "init", Backup: "backup", Master: "master", Leaving: "leaving"} {
		text, err := state.MarshalText()
		if err != nil || string(text) != want || state.String() != want {
			t.Errorf("%d: MarshalText, String = %q, %q (%v), want %q", state, text, state, err, want)
		}
		var back State
		if err := back.UnmarshalText(text); err != nil || back != state {
			t.Errorf("UnmarshalText(%q) = %v, %v", text, back, err)
		}
	}
	if _, err := State(9).MarshalText(); err == nil {
		t.Error("MarshalText of no state succeeds")
	}
	if err := new(State).UnmarshalText([]byte("active")); err == nil {
		t.Error(`UnmarshalText("active") succeeds`)
	}
}

func TestOnlyMasterAndLeavingHoldAddresses(t *testing.T) {
	for state, want := range map[State]bool{Init: false, Backup: false, Master: true, Leaving: true} {
		if got := state.Holds(); got != want {
			t.Errorf("%v.Holds() = %v, want %v", state, got, want)
		}
	}
}

func TestEveryDropReasonHasAName(t *testing.T) {
	seen := map[string]bool{}
	for r := Accepted; r < dropReasons; r++ {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("reason %d is named %q, empty or not unique", r, name)
		} else {
			seen[name] = true
		}
	}
}

// The types travel between processes as JSON.
func TestTypesSurviveJSON(t *testing.T) {
	at := time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
	type wire struct {
		Config     RouterConfig
		Transition Transition
		Resume     Resume
		Status     RouterStatus
	}
	want := wire{
		Config:     config(100),
		Transition: Transition{Router: "edge", From: Backup, To: Master, Reason: ReasonMasterDown, At: at, Master: beta, MasterInterval: time.Second},
		Resume:     Resume{State: Leaving, Since: at, Master: alpha, MasterInterval: time.Second, Silent: time.Millisecond},
		Status: RouterStatus{RouterConfig: config(100), State: Master, Since: at, Reason: ReasonStart, Source: beta,
			Heard: &Heard{From: alpha, Priority: 3, Interval: time.Second, Age: 5}, Sent: 1, Dropped: map[string]uint64{"version": 2}},
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got wire
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("after JSON (-want +got):\n%s", d)
	}
}
