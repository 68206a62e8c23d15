package testenv_test

import (
	"net"
	"testing"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestRequiredListsNeeds(t *testing.T) {
	t.Setenv("HALDIR_TEST_REQUIRE", "root,ipvs")
	if !testenv.Required("ipvs") || testenv.Required("other") {
		t.Errorf("Required(ipvs), Required(other) = %v, %v, want true, false",
			testenv.Required("ipvs"), testenv.Required("other"))
	}
}

func TestNetnsHasOnlyALoopbackThatIsUp(t *testing.T) {
	ns := testenv.NewNetns(t)
	var links []net.Interface
	ns.Do(t, func() { links, _ = net.Interfaces() })
	if len(links) != 1 || links[0].Name != "lo" || links[0].Flags&net.FlagUp == 0 {
		t.Errorf("interfaces of a new namespace = %v, want lo alone, up", links)
	}
}
