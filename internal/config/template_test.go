package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTemplate evaluates templates over the addresses of testHost, on which
// 192.0.2.100 is virtual.
func TestTemplate(t *testing.T) {
	for _, test := range []struct{ template, want string }{
		{`{{ GetDefaultInterfaces | attr "name" }}`, "eth0"},
		{`{{ GetAllInterfaces | include "name" "^eth10$" | attr "address" }}`, "10.1.0.2"},
		{`{{ . | include "network" "10.0.0.0/8" | attr "name" }}`, "eth10"},
		{`{{ GetInterfaceIPs "eth0" }}`, "192.0.2.1"},
		{`{{ GetInterfaceIPs "eth1" }}`, "nothing"},
		{`{{ GetInterfaceIPs "eth.*" }}`, "2 results"},
		{`{{ GetInterfaceIPs "(" }}`, "fails: GetInterfaceIPs: Unable to compile name regexp"},
		{`{{ GetInterfaceIP "eth10" }}`, "10.1.0.2"},
		{`{{ GetPrivateIPs }}`, "10.1.0.2"},
		{`{{ GetPublicIPs }}`, "nothing"},
		{`{{ GetPrivateIP }}`, "nothing"},
		{`{{ GetAllInterfaces | exclude "flags" "loopback" | attr "address" }}`, "2 results on this host: 10.1.0.2, 192.0.2.1"},
		{`{{ GetAllInterfaces | exclude "flags" "loopback" | sort "address" | limit 1 | attr "address" }}`, "10.1.0.2"},
		{`{{ GetAllInterfaces | include "name" "eth10" | math "network" "+17" | attr "address" }}`, "10.1.0.17"},
		{`{{ with index (GetAllInterfaces | include "name" "eth10") 0 }}{{ . | attr "address" }}{{ end }}`, "10.1.0.2"},
		{`{{ GetInterfaceIPs "lo" }}, {{ GetInterfaceIPs "lo" }}`, "127.0.0.1"},
		{`{{ GetInterfaceIPs "none" }}:80`, "nothing"},
		{`{{ GetInterfaceIPs "eth10" }}:80`, "10.1.0.2:80"},
		{`{{ "" }}`, "nothing"},
		{`{{ define "x" }}y{{ end }}`, "nothing"},
		{`{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`, "fails: "},
		{`{{ attr "name" 1 }}`, `attr "name" of a int, where addresses belong`},
		{`{{ GetAllInterfaces | sort "+name,-default" }}`, `the key "default" is not available`},
		{`{{ index (GetAllInterfaces) 99 }}`, "index out of range: 99"},
	} {
		opt := testHost()
		h := host{opt: opt, vips: map[netip.Addr]bool{netip.MustParseAddr("192.0.2.100"): true}}
		got, what, _ := h.oneAddress(test.template)
		if what.message != "" {
			got = what.message
		}
		if got != test.want && (what.message == "" || !strings.Contains(got, test.want)) {
			t.Errorf("%s gives %q, want %q", test.template, got, test.want)
		}
	}
}

// TestTemplateVIP checks that a template never yields a virtual address, not
// even one that another template makes.
func TestTemplateVIP(t *testing.T) {
	text := strings.Replace(minimal, `"192.0.2.100/24"`, `"192.0.2.100/24", '{{ GetInterfaceIPs "eth10" }}/16'`, 1) +
		"[[service]]\nname = \"w\"\nlisten = [\"192.0.2.100:80\"]\n" +
		"real = [{ address = '{{ GetAllInterfaces | include \"name\" \"eth\" | attr \"address\" }}' }]\n"
	c := load(t, write(t, "a.toml", text), testHost())
	if got := c.VRRP[0].Addresses[1].String(); got != "10.1.0.2/16" {
		t.Errorf("the second virtual address is %s", got)
	}
	if got := c.Services[0].Real[0].Address.String(); got != "192.0.2.1" {
		t.Errorf("the real server is %s", got)
	}
}

// TestTemplateRunsNoProgram lays out a program for those who look for "ip".
func TestTemplateRunsNoProgram(t *testing.T) {
	folder := t.TempDir()
	ran := filepath.Join(folder, "ran")
	script := "#!/bin/sh\necho > " + ran + "\necho default via 192.0.2.1 dev eth0\n"
	if err := os.WriteFile(filepath.Join(folder, "ip"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
	opt := testHost()
	opt.DefaultInterface = nil
	for _, template := range []string{
		`{{ GetDefaultInterfaces }}`, `{{ GetPrivateInterfaces }}`, `{{ GetPublicInterfaces }}`, `{{ GetPrivateIP }}`, `{{ GetPublicIP }}`,
		`{{ GetPrivateIPs }}`, `{{ GetPublicIPs }}`, `{{ GetInterfaceIP "eth0" }}`, `{{ GetInterfaceIPs "eth0" }}`,
		`{{ GetAllInterfaces | sort "default" }}`, `{{ GetAllInterfaces | sort "-default" }}`,
	} {
		h := host{opt: opt}
		h.one(template)
		if _, err := os.Stat(ran); err == nil {
			t.Fatalf("%s ran the ip program", template)
		}
	}
}

func TestTemplateHostError(t *testing.T) {
	opt := testHost()
	opt.Addresses = func() ([]HostAddress, error) { return nil, errors.New("no netlink") }
	_, err := Load(write(t, "a.toml", strings.Replace(minimal, `"eth0"`, `"{{ GetInterfaceIP }}"`, 1)), opt)
	if err == nil || !strings.Contains(err.Error(), "the template cannot be evaluated: no netlink") {
		t.Errorf("got %v", err)
	}
}

// TestHost reads this machine: every system the tests run on has a loopback address.
func TestHost(t *testing.T) {
	addresses, err := HostAddresses()
	if err != nil {
		t.Fatal(err)
	}
	names, err := HostInterfaces()
	if err != nil {
		t.Fatal(err)
	}
	loopback := false
	for _, a := range addresses {
		loopback = loopback || a.Prefix.Addr().IsLoopback()
	}
	if !loopback || len(names) == 0 {
		t.Errorf("addresses %v, interfaces %v", addresses, names)
	}
}

func TestParseRoutes(t *testing.T) {
	const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	for name, test := range map[string]struct{ routes, want string }{
		"none":          {"eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", ""},
		"one":           {"eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", "eth0"},
		"lowest metric": {"eth0\t00000000\t0\t0003\t0\t0\t100\t00000000\t0\t0\t0\neth1\t00000000\t0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n", "eth1"},
		"first of two":  {"eth0\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth1\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "eth0"},
		"down":          {"eth0\t00000000\t0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n", ""},
		"unreachable":   {"*\t00000000\t0\t0201\t0\t0\t0\t00000000\t0\t0\t0\n", ""},
		"half of all":   {"eth0\t00000000\t0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n", ""},
		"cut":           {"eth0\t00000000\t0\t0003\n", ""},
		"no number":     {"eth0\t00000000\t0\tzz\t0\t0\t0\t00000000\neth1\t00000000\t0\t0003\t0\t0\tx\t00000000\n", ""},
	} {
		got, err := parseRoutes(head + test.routes)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}
