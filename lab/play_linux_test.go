package lab

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
	"github.com/haldir-lb/haldir/lab/traffic"
)

// TestPlayAccountsForEachStep plays every verb that needs no ip_vs.
func TestPlayAccountsForEachStep(t *testing.T) {
	native(t)
	testenv.Root(t)
	spec, err := ParseSpec(`
[lab]
forward = "none"
[[step]]
do = "kill"
node = "d1"
process = "director"
for = "1s"
[[step]]
do = "crash"
node = "d1"
for = "2s"
[[step]]
do = "reboot"
node = "d1"
for = "3s"
`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Play(t.Context(), PlayOptions{Options: Options{Haldir: haldirBinary(t)}, Spec: spec, Out: &out, JSON: true}); err != nil {
		t.Fatal(err)
	}
	var reports []traffic.Report
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	killed, _ := Find(reports, "udp", "1 kill the director of d1")
	if killed.Sent == 0 || killed.Failed() != 0 {
		t.Errorf("with a process killed %d of %d requests failed, want 0", killed.Failed(), killed.Sent)
	}
	crashed, _ := Find(reports, "udp", "2 crash d1")
	if crashed.Gap.Duration < 2*spec.Lab.Interval.D() || crashed.Server("d2").Answered == 0 {
		t.Errorf("with the master crashed the gap is %v and d2 answered %d, want a gap and answers", crashed.Gap.Duration, crashed.Server("d2").Answered)
	}
	back, _ := Find(reports, "udp", "3 reboot d1")
	if back.Server("d1").Answered == 0 {
		t.Errorf("after the reboot d1 answered nothing: %+v", back.Servers)
	}
}
