package netif

import (
	"testing"
	"testing/fstest"
)

func TestFindModule(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	host := fstest.MapFS{
		"proc/modules":                      file("ip_vs_rr 16384 0 - Live 0x0\nip_vs 200704 2 ip_vs_rr, Live 0x0\n"),
		"proc/sys/kernel/osrelease":         file("6.1.0\n"),
		"sys/module/bridge/parameters/x":    file("0"),
		"lib/modules/6.1.0/modules.dep":     file("kernel/net/ipv4/ipip.ko.xz: kernel/net/ipv4/tunnel4.ko.xz\nkernel/x/a-b.ko:\n"),
		"lib/modules/6.1.0/modules.builtin": file("kernel/net/ipv4/gre.ko\n"),
	}
	container := fstest.MapFS{"proc/modules": file("ip_vs 1 0 - Live 0x0\n"), "proc/sys/kernel/osrelease": file("6.1.0\n")}
	monolith := fstest.MapFS{"proc/sys/kernel/osrelease": file("6.1.0\n"), "sys/module/ip_vs/version": file("1")}
	tests := []struct {
		name   string
		root   fstest.MapFS
		module string
		want   ModuleState
	}{
		{"loaded", host, "ip_vs", ModuleLoaded},
		{"a name's beginning is not the name", host, "ip_v", ModuleAbsent},
		{"in use by another is not the line's own", host, "Live", ModuleAbsent},
		{"built in with parameters", host, "bridge", ModuleBuiltIn},
		{"built in", host, "gre", ModuleBuiltIn},
		{"on disk", host, "ipip", ModuleAvailable},
		{"a dependency is not the line's own", host, "tunnel4", ModuleAbsent},
		{"dash and underscore", host, "a_b", ModuleAvailable},
		{"absent", host, "nowhere", ModuleAbsent},
		{"loaded, seen from a container", container, "ip-vs", ModuleLoaded},
		{"not loaded, seen from a container", container, "ipip", ModuleUnknown},
		{"kernel without loadable modules", monolith, "ip_vs", ModuleBuiltIn},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := findModule(test.root, test.module)
			if err != nil || got != test.want {
				t.Errorf("%s is %q, %v, want %q", test.module, got, err, test.want)
			}
		})
	}
}
