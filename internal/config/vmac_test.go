package config

import (
	"os"
	"strings"
	"testing"
)

func TestVirtualMACIsOffUnlessAskedFor(t *testing.T) {
	text, err := os.ReadFile("testdata/good/groups.toml")
	if err != nil {
		t.Fatal(err)
	}
	off := load(t, "testdata/good/groups.toml", testHost())
	on := load(t, write(t, "vmac.toml", strings.Replace(string(text), "router_id", "vmac = true\nrouter_id", 1)), testHost())
	if off.VRRP[0].VMAC || !on.VRRP[0].VMAC {
		t.Errorf("VMAC = %v without the key, %v with it", off.VRRP[0].VMAC, on.VRRP[0].VMAC)
	}
	for _, r := range on.Routers() {
		if r.VMAC != (Block(r.Name) == on.VRRP[0].Name) {
			t.Errorf("router %s: VMAC = %v", r.Name, r.VMAC)
		}
	}
	if off.Digest == on.Digest {
		t.Error("directors of which one has it agree on their configuration")
	}
}
