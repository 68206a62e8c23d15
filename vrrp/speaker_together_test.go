package vrrp_test

import (
	"testing"
	"time"

	"github.com/haldir-lb/haldir/vrrp"
)

// Routers that became master at nearly the same time advertise together from then
// on, the first of them at its own time; one that is far off keeps its own time.
func TestAdvertsThatAreNearlyDueLeaveTogether(t *testing.T) {
	inBubble(t, func(w *world) {
		named := func(name string, vrid, priority uint8) vrrp.RouterConfig {
			c := config(priority)
			c.Name, c.VRID = name, vrid
			return c
		}
		first, near, far := named("a", 1, 255), named("b", 2, 255), named("c", 3, 255)
		n := w.node("n", alpha)
		n.Set([]vrrp.RouterConfig{first}, nil)
		w.want("0s n sends 255", "0s n: init to master: address owner")
		time.Sleep(9 * time.Millisecond)
		n.Set([]vrrp.RouterConfig{first, near}, nil)
		w.want("9ms n sends 255", "9ms n: init to master: address owner")
		time.Sleep(100 * time.Millisecond)
		n.Set([]vrrp.RouterConfig{first, near, far}, nil)
		w.want("109ms n sends 255", "109ms n: init to master: address owner")
		time.Sleep(2 * time.Second)
		w.want("1s n sends 255", "1s n sends 255", "1.109s n sends 255",
			"2s n sends 255", "2s n sends 255", "2.109s n sends 255")
	})
}
