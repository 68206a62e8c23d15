package ipvstest_test

import (
	"testing"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	ipvstest.Contract(t, func(*testing.T) ipvsctl.Handle { return ipvstest.NewFake() })
}

func TestEverythingIsValid(t *testing.T) {
	if err := ipvstest.Everything().Validate(); err != nil {
		t.Errorf("Validate = %v", err)
	}
}

func TestFakeSyncKeepsTheContract(t *testing.T) {
	ipvstest.SyncContract(t, func(*testing.T) (ipvsctl.SyncHandle, string) {
		return &ipvstest.FakeSync{Interfaces: []string{"sync0"}}, "sync0"
	})
}
