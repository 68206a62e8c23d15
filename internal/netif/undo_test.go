package netif

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	all    = "net/ipv4/conf/all/"
	eth0   = "net/ipv4/conf/eth0/"
	record = "/run/x/sysctl.json"
)

// found is what a host has before us.
func found() map[string]string {
	return map[string]string{
		all + "arp_ignore": "0", all + "arp_announce": "0", eth0 + "arp_ignore": "8", eth0 + "arp_announce": "2",
		"net/ipv4/ip_forward": "0", all + "accept_redirects": "0",
		"net/ipv4/conf/default/forwarding": "0", eth0 + "forwarding": "1", "net/ipv4/conf/lo/forwarding": "0",
		"net/ipv4/ip_local_port_range": "32768\t60999",
	}
}

func realServer() []Sysctl {
	return []Sysctl{{all + "arp_ignore", "1"}, {eth0 + "arp_ignore", "1"}, {all + "arp_announce", "2"}, {eth0 + "arp_announce", "2"}}
}

// router contains a sysctl that the kernel changes along with another.
func router() []Sysctl {
	return []Sysctl{{"net/ipv4/ip_forward", "1"}, {all + "arp_ignore", "2"}, {all + "accept_redirects", "1"}}
}

func with(values map[string]string, want []Sysctl) map[string]string {
	values = maps.Clone(values)
	for _, s := range want {
		values[s.Path] = s.Value
	}
	return values
}

func TestApplyThenRestoreGivesBackExactlyWhatWasFound(t *testing.T) {
	for name, want := range map[string][]Sysctl{"real server": realServer(), "router": router()} {
		t.Run(name, func(t *testing.T) {
			s := newFakeSystem(found())
			u := undo{s, record}
			if _, err := u.apply(want); err != nil {
				t.Fatal(err)
			}
			for _, w := range want {
				if s.sysctls[w.Path] != w.Value {
					t.Errorf("%s reads %s", w, s.sysctls[w.Path])
				}
			}
			if _, err := u.restore(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(found(), s.sysctls); diff != "" {
				t.Errorf("sysctls (-found +now):\n%s", diff)
			}
			if len(s.files) > 0 {
				t.Errorf("files left: %v", s.files)
			}
		})
	}
}

func TestRecordIsOnDiskBeforeTheFirstChangeAndUndoGoesBackwards(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	if _, err := u.apply(realServer()); err != nil {
		t.Fatal(err)
	}
	if _, err := u.restore(); err != nil {
		t.Fatal(err)
	}
	save := []string{"replace " + record}
	want := slices.Concat(save,
		[]string{all + "arp_ignore = 1", eth0 + "arp_ignore = 1", all + "arp_announce = 2"}, save,
		[]string{all + "arp_announce = 0", eth0 + "arp_ignore = 8", all + "arp_ignore = 0"})
	if diff := cmp.Diff(want, s.log); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestFirstSeenValueSurvivesApplyingAgain(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	for _, value := range []string{"1", "1", "2"} {
		if _, err := u.apply([]Sysctl{{eth0 + "arp_ignore", value}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := u.restore()
	want := SysctlRestore{Restored: []SysctlChange{{eth0 + "arp_ignore", "2", "8"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("restore: %v (-want +got):\n%s", err, diff)
	}
}

func TestApplyRestoresWhatIsNoLongerWanted(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	for _, want := range [][]Sysctl{append(router(), realServer()[1:]...), realServer()} {
		if _, err := u.apply(want); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(with(found(), realServer()), s.sysctls); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}
	if _, err := u.apply(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found(), s.sysctls); diff != "" || len(s.files) > 0 {
		t.Errorf("files %v, sysctls after applying nothing (-found +now):\n%s", s.files, diff)
	}
}

func TestValueOfSomebodyElseIsLeftAndReported(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	if _, err := u.apply(realServer()); err != nil {
		t.Fatal(err)
	}
	s.sysctls[all+"arp_ignore"] = "3"
	delete(s.sysctls, eth0+"arp_ignore") // the interface vanished
	delete(s.sysctls, eth0+"arp_announce")
	got, err := u.restore()
	want := SysctlRestore{
		Restored: []SysctlChange{{all + "arp_announce", "2", "0"}},
		Left:     []SysctlLeft{{all + "arp_ignore", "0", "1", "3"}},
		Gone:     []string{eth0 + "arp_announce", eth0 + "arp_ignore"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("restore: %v (-want +got):\n%s", err, diff)
	}
	if s.sysctls[all+"arp_ignore"] != "3" || len(s.files) > 0 {
		t.Errorf("arp_ignore = %s, files %v, want 3, none", s.sysctls[all+"arp_ignore"], s.files)
	}
}

func TestReasonsToChangeNothing(t *testing.T) {
	good := `{"version":1,"boot":"boot 1","entries":[{"path":"net/x","earlier":"0","ours":["1"]}]}`
	tests := []struct {
		name    string
		prepare func(*fakeSystem)
		want    []Sysctl
		message string
	}{
		{"empty record", func(s *fakeSystem) { s.files[record] = "\n" }, realServer(), "is damaged, so the earlier values are not known; nothing was changed"},
		{"cut record", func(s *fakeSystem) { s.files[record] = good[:40] }, realServer(), "unexpected EOF"},
		{"two records", func(s *fakeSystem) { s.files[record] = good + good }, realServer(), "there is something behind its end"},
		{"unknown version", func(s *fakeSystem) { s.files[record] = strings.Replace(good, ":1", ":7", 1) }, realServer(), "its version is 7, not 1"},
		{"path outside", func(s *fakeSystem) { s.files[record] = strings.Replace(good, "net/x", "../x", 1) }, realServer(), `"../x" is not a path below /proc/sys`},
		{"no value of ours", func(s *fakeSystem) { s.files[record] = strings.Replace(good, `"1"`, "", 1) }, realServer(), "has no value of ours"},
		{"unknown sysctl", func(*fakeSystem) {}, append(realServer(), Sysctl{"net/ipv4/conf/eth7/arp_ignore", "1"}), "reading sysctl net/ipv4/conf/eth7/arp_ignore"},
		{"wanted twice", func(*fakeSystem) {}, append(realServer(), realServer()[0]), "is wanted twice"},
		{"full disk", func(s *fakeSystem) { s.refuse[record] = syscall.ENOSPC }, realServer(), "no space left on device"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newFakeSystem(found())
			test.prepare(s)
			before := maps.Clone(s.files)
			_, err := undo{s, record}.apply(test.want)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want %q in it", err, test.message)
			}
			if diff := cmp.Diff(found(), s.sysctls); diff != "" {
				t.Errorf("sysctls (-found +now):\n%s", diff)
			}
			if diff := cmp.Diff(before, s.files); diff != "" {
				t.Errorf("files (-before +now):\n%s", diff)
			}
		})
	}
}

func TestOneRefusedSysctlDoesNotHinderTheOthers(t *testing.T) {
	s := newFakeSystem(found())
	s.refuse[eth0+"arp_ignore"] = syscall.EINVAL
	u := undo{s, record}
	if _, err := u.apply(realServer()); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("error %v, want EINVAL", err)
	}
	want := found()
	want[all+"arp_ignore"], want[all+"arp_announce"] = "1", "2"
	if diff := cmp.Diff(want, s.sysctls); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}
	if _, err := u.restore(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found(), s.sysctls); diff != "" {
		t.Errorf("sysctls after the restore (-found +now):\n%s", diff)
	}
}

func TestRecordStaysWhenARestoreFails(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	if _, err := u.apply(realServer()); err != nil {
		t.Fatal(err)
	}
	s.refuse[all+"arp_ignore"] = syscall.EROFS
	if _, err := u.restore(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("error %v, want EROFS", err)
	}
	clear(s.refuse)
	if _, err := u.restore(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found(), s.sysctls); diff != "" || len(s.files) > 0 {
		t.Errorf("files %v, sysctls (-found +now):\n%s", s.files, diff)
	}
}

func TestRecordOfAnEarlierBootIsVoid(t *testing.T) {
	s := newFakeSystem(found())
	u := undo{s, record}
	if _, err := u.apply(realServer()); err != nil {
		t.Fatal(err)
	}
	s.id = "boot 2"
	s.sysctls = with(found(), []Sysctl{{all + "arp_ignore", "2"}})
	if _, err := u.apply(realServer()); err != nil {
		t.Fatal(err)
	}
	if _, err := u.restore(); err != nil {
		t.Fatal(err)
	}
	if got := s.sysctls[all+"arp_ignore"]; got != "2" {
		t.Errorf("arp_ignore = %s, want the 2 of this boot", got)
	}
}

// Whatever step the process dies at, and dies at again, the next call ends
// right.
func TestCrashAtEveryStep(t *testing.T) {
	// The host as it is when a run begins: new, or with another set applied.
	starts := map[string][]Sysctl{"first": nil, "after another set": realServer()}
	runs := map[string]func(undo) error{
		"apply":   func(u undo) error { _, err := u.apply(router()); return err },
		"restore": func(u undo) error { _, err := u.restore(); return err },
	}
	for startName, start := range starts {
		for firstName, first := range runs {
			for secondName, second := range runs {
				t.Run(fmt.Sprintf("%s/%s, then %s", startName, firstName, secondName), func(t *testing.T) {
					begin := func() (*fakeSystem, undo) {
						s := newFakeSystem(found())
						u := undo{s, record}
						if start != nil {
							if _, err := u.apply(start); err != nil {
								t.Fatal(err)
							}
						}
						s.used = 0
						return s, u
					}
					crashes := 0
					for i := 0; ; i++ {
						crashed := false
						for j := i % 7; ; j += 7 { // every seventh pair, so that all steps get their turn
							s, u := begin()
							s.steps = i
							crashed = errors.Is(first(u), errCrash)
							s.steps = j
							again := errors.Is(second(u), errCrash)
							s.steps = -1
							at := fmt.Sprintf("dead at step %d, then at %d", i, j)
							checkConverges(t, at, s, u)
							if !again {
								break
							}
							crashes++
						}
						if !crashed {
							break
						}
					}
					if crashes < 2 {
						t.Errorf("only %d crashes were tried", crashes)
					}
				})
			}
		}
	}
}

func checkConverges(t *testing.T, at string, s *fakeSystem, u undo) {
	t.Helper()
	copied := *s
	copied.sysctls, copied.files = maps.Clone(s.sysctls), maps.Clone(s.files)
	if _, err := (undo{&copied, record}).restore(); err != nil {
		t.Fatalf("%s: restore: %v", at, err)
	}
	if diff := cmp.Diff(found(), copied.sysctls); diff != "" || len(copied.files) > 0 {
		t.Fatalf("%s, then restored: files %v, sysctls (-found +now):\n%s", at, copied.files, diff)
	}
	if _, err := u.apply(realServer()); err != nil {
		t.Fatalf("%s: apply: %v", at, err)
	}
	if diff := cmp.Diff(with(found(), realServer()), s.sysctls); diff != "" {
		t.Fatalf("%s, then applied: sysctls (-want +got):\n%s", at, diff)
	}
	if _, err := u.restore(); err != nil {
		t.Fatalf("%s: restore after apply: %v", at, err)
	}
	if diff := cmp.Diff(found(), s.sysctls); diff != "" || len(s.files) > 0 {
		t.Fatalf("%s, then applied and restored: files %v, sysctls (-found +now):\n%s", at, s.files, diff)
	}
}
