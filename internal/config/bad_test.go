package config

import (
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with the file at path.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// testHost is a director named lvs1 that holds the virtual address 192.0.2.100
// beside its own, and a private network on eth1.
func testHost() Options {
	ifi := func(index int, name string, flags net.Flags) net.Interface {
		return net.Interface{Index: index, Name: name, MTU: 1500, Flags: net.FlagUp | flags}
	}
	eth0 := ifi(2, "eth0", net.FlagBroadcast|net.FlagMulticast)
	eth10 := ifi(3, "eth10", net.FlagBroadcast|net.FlagMulticast)
	return Options{
		Addresses: func() ([]HostAddress, error) {
			return []HostAddress{
				{ifi(1, "lo", net.FlagLoopback), netip.MustParsePrefix("127.0.0.1/8")},
				{eth0, netip.MustParsePrefix("192.0.2.100/24")},
				{eth0, netip.MustParsePrefix("192.0.2.1/25")},
				{eth0, netip.MustParsePrefix("2001:db8::1/64")},
				{eth10, netip.MustParsePrefix("10.1.0.2/16")},
			}, nil
		},
		Interfaces:       func() ([]string, error) { return []string{"lo", "eth0", "eth10"}, nil },
		DefaultInterface: func() (string, error) { return "eth0", nil },
		Hostname:         func() (string, error) { return "lvs1.example.org", nil },
		RequireDirector:  true,
	}
}

// TestBad loads every file of testdata/bad and compares the whole report with
// the .txt file beside it. One mistake gives one message.
func TestBad(t *testing.T) {
	variants := map[string]func(*Options){
		"node-unknown-host":         func(o *Options) { o.Hostname = func() (string, error) { return "lvs.example.org", nil } },
		"template-no-default-route": func(o *Options) { o.DefaultInterface = func() (string, error) { return "", errNoDefaultRoute } },
		"template-not-allowed":      func(o *Options) { o.Addresses = nil },
	}
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			opt := testHost()
			if change := variants[name]; change != nil {
				change(&opt)
			}
			delete(variants, name)
			c, err := Load(file, opt)
			found, ok := errors.AsType[Diagnostics](err)
			if !ok {
				t.Fatalf("Load gave %v and error %v, want Diagnostics", c, err)
			}
			if several := strings.HasPrefix(name, "several"); several != (len(found) > 1) {
				t.Errorf("one mistake gave %d messages", len(found))
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".txt", found.Error()+"\n")
		})
	}
	for name := range variants {
		t.Errorf("options for %s, which does not exist", name)
	}
}
