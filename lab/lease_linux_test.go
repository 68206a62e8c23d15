package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// killedLab is the argument with which the test binary builds a lab and waits to
// be killed.
const killedLab = "killed-lab"

func waitToBeKilled() int {
	c, err := New(DefaultSpec(ForwardNone), Options{})
	if err != nil {
		println(err.Error())
		return 1
	}
	println(c.lease.id)
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 0
}

func TestTheNextLabRemovesWhatAKilledOneLeft(t *testing.T) {
	native(t)
	testenv.Root(t)
	cmd := exec.Command("/proc/self/exe", killedLab)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 256)
	n, err := stderr.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(line[:n]))
	if got := traces(t, id); len(got) < 6 {
		t.Fatalf("traces of the living lab %q = %v, want folder and namespaces", id, got)
	}

	// While it lives nothing is taken from it.
	if swept, err := Sweep(); err != nil || slices.Contains(swept, id) {
		t.Errorf("sweep = %v, %v, want the living lab left alone", swept, err)
	}
	if got := traces(t, id); len(got) < 6 {
		t.Errorf("traces after a sweep = %v, want all", got)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := traces(t, id); len(got) < 6 {
		t.Fatalf("traces of the killed lab = %v, want it to leave them for this test to mean anything", got)
	}
	swept, err := Sweep()
	if err != nil || !slices.Contains(swept, id) {
		t.Errorf("sweep = %v, %v, want %s among them", swept, err, id)
	}
	if got := traces(t, id); len(got) != 0 {
		t.Errorf("left after the sweep: %v", got)
	}
}

// traces lists what of a lab is on this machine.
func traces(t *testing.T, id string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{filepath.Join(leaseRoot, id), filepath.Join(netnsRoot, namePrefix+id+"-*")} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return found
}

func TestTwoLabsAtOnceDoNotDisturbEachOther(t *testing.T) {
	a := newCluster(t, DefaultSpec(ForwardNone), Options{})
	b := newCluster(t, DefaultSpec(ForwardNone), Options{})
	if a.Dir() == b.Dir() || a.Node("d1").Namespace() == b.Node("d1").Namespace() {
		t.Fatalf("both labs are in %s", a.Dir())
	}
	if err := addAddress(a.Node("d1").ns, Interface, within(ipv4.segment, hostVIP)); err != nil {
		t.Fatal(err)
	}
	if has, err := b.Node("d1").Has(b.Spec.VIP()); has || err != nil {
		t.Errorf("the other lab's d1 has the address = %v, %v, want false", has, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !hears(t, b.Node(Router), b.Node("d1")) {
		t.Error("after the end of one lab, the other's router does not hear its d1")
	}
}
