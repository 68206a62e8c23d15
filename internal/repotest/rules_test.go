package repotest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// domain packages know nothing of configuration, processes or one another.
var domain = []string{"vrrp", "arp", "ipvsctl", "healthcheck", "internal/netif"}

// layers lists, from the bottom to the top, who stands on whom. A package may
// import what is in its own group of a lower layer, and its own sub-packages.
var layers = [][]string{
	{"internal/testenv", "internal/script", "internal/statefile", "internal/journal", "internal/peer", "internal/mark"},
	domain,
	{"internal/track", "internal/notify"},
	{"internal/config", "internal/process", "internal/firewall"},
	{"internal/speaker", "internal/checker", "internal/control", "internal/facts", "realserver"},
	{"internal/metrics"},
	{"internal/director", "internal/doctor"},
	{"internal/trace"},
	{"lab"},
	{"cmd"},
}

func layerOf(dir string) int {
	for i, group := range layers {
		if under(dir, group...) {
			return i
		}
	}
	return -1
}

func TestImportsPointDownward(t *testing.T) {
	for _, f := range tree(t) {
		if under(f.dir, "internal/repotest") {
			continue
		}
		from := layerOf(f.dir)
		if from < 0 {
			t.Errorf("%s: package %s is in no layer: add it to layers", f.name, f.dir)
			continue
		}
		for _, p := range f.imports() {
			to, ours := strings.CutPrefix(p, module+"/")
			if !ours || f.test && layerOf(to) <= from {
				continue
			}
			sameTree := strings.Split(to, "/")[0] == strings.Split(f.dir, "/")[0] && !strings.HasPrefix(to, "internal/")
			if layerOf(to) >= from && !sameTree && !under(to, f.dir) {
				t.Errorf("%s imports %s, which is not below it", f.name, to)
			}
		}
	}
}

func TestDomainPackagesDoNotImportOneAnother(t *testing.T) {
	for _, f := range tree(t) {
		if f.test || !under(f.dir, domain...) {
			continue
		}
		for _, p := range f.imports() {
			to, ours := strings.CutPrefix(p, module+"/")
			if !ours || !under(to, domain...) {
				continue
			}
			own := slices.IndexFunc(domain, func(d string) bool { return under(f.dir, d) })
			if !under(to, domain[own]) {
				t.Errorf("%s imports %s: domain packages stand alone", f.name, to)
			}
		}
	}
}

// TestClockIsReadInLoopsOnly keeps the pure cores pure: below a loop, time is
// an argument.
func TestClockIsReadInLoopsOnly(t *testing.T) {
	loops := map[string]bool{
		"vrrp/loop.go": true, "vrrp/speaker.go": true, "vrrp/keeper.go": true,
		"arp/announcer.go":      true,
		"healthcheck/runner.go": true, "healthcheck/once.go": true,
	}
	shells := []string{
		"cmd", "lab", "internal/process", "internal/director", "internal/speaker", "internal/control", "internal/notify",
		"internal/netif", "internal/journal", "ipvsctl/ipvsnl", "vrrp/vrrpsock", "vrrp/vrrptest", "realserver",
	}
	pure := map[string]bool{
		"internal/director/pool.go": true, "internal/director/slowstart.go": true, "internal/director/override.go": true,
		"internal/director/leaving.go": true,
		"internal/director/desired.go": true, "internal/director/changes.go": true, "internal/process/backoff.go": true,
		"internal/netif/address_plan.go": true,
	}
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Sleep", "Tick"}
	for _, f := range tree(t) {
		allowed := f.test || loops[f.name] || under(f.dir, shells...) && !pure[f.name] || strings.HasSuffix(f.name, "_linux.go")
		if where, reads := f.calls("time", clock...); reads && !allowed {
			t.Errorf("%s: the clock is read outside a loop; take the time as an argument", where)
		}
	}
}

func TestProgramsAreRunByNamedPackagesOnly(t *testing.T) {
	for _, f := range tree(t) {
		if f.test || under(f.dir, "internal/process", "internal/script", "internal/testenv", "lab") || f.name == "cmd/haldir/run.go" {
			continue
		}
		if slices.Contains(f.imports(), "os/exec") {
			t.Errorf("%s imports os/exec", f.name)
		}
	}
}

func TestSystemCallsAreMadeByNamedPackagesOnly(t *testing.T) {
	walled := []string{
		"golang.org/x/sys/unix", "github.com/vishvananda/netlink", "github.com/mdlayher/netlink",
		"github.com/mdlayher/genetlink", "github.com/mdlayher/packet", "github.com/mdlayher/arp", "github.com/vishvananda/netns",
	}
	allowed := []string{
		"vrrp/vrrpsock", "arp", "ipvsctl/ipvsnl", "internal/netif", "internal/process", "internal/testenv",
		"internal/script", "internal/facts", "internal/firewall", "internal/mark", "internal/trace", "healthcheck", "internal/control", "lab", "cmd",
	}
	for _, f := range tree(t) {
		if f.test || under(f.dir, allowed...) {
			continue
		}
		for _, p := range f.imports() {
			if slices.Contains(walled, p) {
				t.Errorf("%s imports %s", f.name, p)
			}
		}
	}
}

func TestOnlyCommandsEndTheProcess(t *testing.T) {
	for _, f := range tree(t) {
		main := f.syntax.Name.Name == "main"
		if where, exits := f.calls("os", "Exit"); exits && !main && !f.test {
			t.Errorf("%s outside a command", where)
		}
		if where, exits := f.calls("log", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf"); exits {
			t.Errorf("%s: return the error", where)
		}
	}
}

func TestOnePackageCommentEach(t *testing.T) {
	comments := make(map[string][]string)
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		comments[f.dir] = append(comments[f.dir], "")
		if f.syntax.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f.name)
		}
	}
	for dir, list := range comments {
		documented := slices.DeleteFunc(list, func(s string) bool { return s == "" })
		if len(documented) != 1 {
			t.Errorf("%s has %d package comments, want 1: %v", dir, len(documented), documented)
		}
	}
}

func TestFilesAreSmallAndFormatted(t *testing.T) {
	const most = 600
	for _, f := range tree(t) {
		if lines := bytes.Count(f.source, []byte("\n")); lines > most {
			t.Errorf("%s has %d lines, more than %d", f.name, lines, most)
		}
		if !formatted(f.source) {
			t.Errorf("%s is not formatted by gofmt", f.name)
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	files := tree(t)
	fake := make(map[string]bool) // packages whose tests run on fake time
	for _, f := range files {
		fake[f.dir] = fake[f.dir] || slices.Contains(f.imports(), "testing/synctest")
	}
	for _, f := range files {
		if !f.test || fake[f.dir] {
			continue
		}
		if where, sleeps := f.calls("time", "Sleep"); sleeps {
			t.Errorf("%s in a test: wait for a condition, or use testing/synctest", where)
		}
	}
}

func TestNoPromisesOfLaterWork(t *testing.T) {
	promises := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "not " + "implemented"}
	for _, f := range tree(t) {
		for _, p := range promises {
			if bytes.Contains(f.source, []byte(p)) {
				t.Errorf("%s contains %q", f.name, p)
			}
		}
	}
}

func TestErrorsDoNotSayFailedTo(t *testing.T) {
	for _, f := range tree(t) {
		if !f.test && bytes.Contains(f.source, []byte(`"failed`+` to`)) {
			t.Errorf("%s: an error begins with what was being done, not with %q", f.name, "failed to")
		}
	}
}
