package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// write puts text into a file of the test's own folder and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string, opt Options) *Config {
	t.Helper()
	c, err := Load(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// minimal is the shortest configuration, with all defaults.
const minimal = `
[[vrrp]]
name = "edge"
interface = "eth0"
router_id = 51
addresses = ["192.0.2.100/24"]
`

// TestGood loads every file of testdata/good, compares its canonical form with
// the .txt file beside it, and loads that form again: it means the same.
func TestGood(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := load(t, file, testHost())
			text := c.Canonical()
			golden(t, strings.TrimSuffix(file, ".toml")+".txt", text+"# SHA-256 "+c.Digest+"\n")
			again := load(t, write(t, "canonical.toml", text), testHost())
			if again.Canonical() != text {
				t.Errorf("the canonical form means something else:\n%s", cmp.Diff(text, again.Canonical()))
			}
		})
	}
}

func TestLoadValues(t *testing.T) {
	got := load(t, "testdata/good/everything.toml", testHost())
	want := &Config{
		Node: "lvs2",
		VRRP: []VRRP{
			{
				Name: "edge", Interface: "eth0", InterfaceTemplate: `{{ GetDefaultInterfaces | attr "name" }}`, RouterID: 255,
				Version: 3, Checksum: "rfc9568",
				Peers:      []netip.Addr{netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")},
				MinTTL:     254,
				Priorities: Priorities{ByNode: map[string]uint8{"lvs1": 150, "lvs2": 255, "lvs3.example": 1}}, Priority: 255,
				Interval: 40950 * time.Millisecond, Preempt: true, PreemptDelay: time.Hour,
				Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.101/32"), netip.MustParsePrefix("192.0.2.100/24")},
				GARP:      GARP{Burst: 100, Spacing: 10 * time.Millisecond, Again: 0, Refresh: 24 * time.Hour},
			},
			{
				Name: "inside", Interface: "eth10", RouterID: 255,
				Version: 3, Checksum: "rfc5798",
				Priorities: Priorities{ByNode: map[string]uint8{"lvs1": 150, "lvs2": 100}}, Priority: 100,
				Interval:  10 * time.Millisecond,
				Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/16")},
				GARP:      GARP{Burst: 5, Spacing: 300 * time.Millisecond, Again: 5 * time.Second, Refresh: time.Minute},
			},
		},
		Services: []Service{
			{
				Name: "web", VRRP: "edge", Protocol: "tcp", Scheduler: "mh", Forward: "dr", Persistence: 744 * time.Hour,
				Attributes: Attributes{SchedulerFlags: []string{"mh-fallback", "mh-port"}, PersistencePrefix: 24, PersistencePrefix6: 56},
				Pool:       Pool{Quorum: 1, OnFailure: "remove", Drain: 5 * time.Minute}, HealthyWhen: "all",
				Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:443"), netip.MustParseAddrPort("192.0.2.100:80")},
				Checks: []Check{{Type: "tcp", Port: 8080, Every: time.Hour, EveryDoubt: time.Hour, EveryDown: time.Hour, EverySteady: time.Hour, Timeout: time.Hour, Rise: 100, Fall: 1, FlapDamping: true}},
				Real:   []Real{{Address: netip.MustParseAddr("192.0.2.12"), Port: 0, Weight: 65535, Upper: 100, Lower: 90}, {Address: netip.MustParseAddr("192.0.2.11"), Port: 0, Weight: 0}},
			},
			{
				Name: "dns", VRRP: "edge", Protocol: "udp", Scheduler: "wlc", Forward: "tun",
				Attributes:  Attributes{OnePacket: true, Tunnel: Tunnel{Type: "gue", Port: 6080, Checksum: "remote"}},
				HealthyWhen: "all",
				Pool: Pool{
					Quorum: 2, Hysteresis: 1, Sorry: &Real{Address: netip.MustParseAddr("198.51.100.9"), Weight: 1}, OnFailure: "quiesce",
					SlowStart: 30 * time.Second, Panic: 50,
				},
				Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.101:53")},
				Real:   []Real{{Address: netip.MustParseAddr("198.51.100.1"), Port: 0, Weight: 1}, {Address: netip.MustParseAddr("198.51.100.2"), Port: 0, Weight: 3}},
			},
			{
				Name: "dns-tcp", VRRP: "edge", Protocol: "tcp", Scheduler: "wlc", Forward: "nat",
				Pool: Pool{Quorum: 1, OnFailure: "remove", Drain: 5 * time.Minute}, HealthyWhen: "all",
				Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.101:53")},
				Checks: []Check{{Type: "tcp", Every: 500 * time.Millisecond, EveryDoubt: 500 * time.Millisecond, EveryDown: time.Second, EverySteady: 500 * time.Millisecond, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3, FlapDamping: true}},
				Real: []Real{
					{Address: netip.MustParseAddr("10.1.0.11"), Port: 5353, Weight: 1}, {Address: netip.MustParseAddr("10.1.0.11"), Port: 5354, Weight: 1},
					{Address: netip.MustParseAddr("10.1.0.2"), Port: 0, Weight: 1},
				},
			},
			{
				Name: "sig", VRRP: "inside", Protocol: "sctp", Scheduler: "wlc", Forward: "nat",
				Pool: Pool{Quorum: 1, OnFailure: "remove", Drain: 5 * time.Minute}, HealthyWhen: "all",
				Listen: []netip.AddrPort{netip.MustParseAddrPort("10.1.0.1:2905")},
				Real:   []Real{{Address: netip.MustParseAddr("10.1.0.13"), Port: 0, Weight: 1}},
			},
		},
		API:      API{Socket: "/run/haldir/other.sock"},
		MarkBase: defaultMarkBase,
		Files:    []string{"testdata/good/everything.toml"},
	}
	diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}),
		cmpopts.IgnoreFields(Config{}, "Digest", "Texts"), cmpopts.IgnoreUnexported(Config{}))
	if diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
	if names := got.Nodes(); !cmp.Equal(names, []string{"lvs1", "lvs2", "lvs3.example"}) {
		t.Errorf("nodes are %v", names)
	}
}

// TestFolder loads the same meaning from a folder: other files, other order,
// other spelling, another socket. The digest is the same.
func TestFolder(t *testing.T) {
	opt := testHost()
	opt.Node = "lvs1"
	folder := load(t, "testdata/folder", opt)
	file := load(t, "testdata/good/everything.toml", testHost())
	if folder.Digest != file.Digest {
		t.Errorf("the digests differ:\n%s", cmp.Diff(file.Canonical(), folder.Canonical()))
	}
	want := []string{"testdata/folder/haldir.toml", "testdata/folder/conf.d/10-edge.toml", "testdata/folder/conf.d/20-web.toml"}
	if !cmp.Equal(folder.Files, want) {
		t.Errorf("read %v, want %v", folder.Files, want)
	}
	if folder.Node != "lvs1" || folder.VRRP[0].Name != "inside" || folder.VRRP[0].Priority != 150 || folder.API.Socket != "/run/elsewhere.sock" {
		t.Errorf("node %s, first block %+v, api %+v", folder.Node, folder.VRRP[0], folder.API)
	}
}

// TestFolderErrors checks that findings name their file, in the order of reading.
func TestFolderErrors(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, dropInFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"haldir.toml":     minimal + "preempt = 1\n[api]\nsocket = \"/run/a.sock\"\n",
		"conf.d/b.toml":   "[node\n",
		"conf.d/a.toml":   "[api]\nsocket = \"/run/b.sock\"\n" + minimal,
		"conf.d/c.toml":   "[[service]]\nname = \"web\"\nlisten = [\"192.0.2.200:80\"]\nreal = [{ address = \"192.0.2.11\", port = 80 }]\n",
		"conf.d/d.tom":    "]",
		"conf.d/e.toml.d": "]",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Load(folder, testHost())
	want := strings.Join([]string{
		`haldir.toml:7:11: vrrp "edge" preempt = 1: a number, where a truth value belongs (legal: true, false)`,
		`conf.d/a.toml:1:1: api: the table [api] is set already, at haldir.toml:8`,
		`conf.d/a.toml:5:8: vrrp "edge" name = "edge": another [[vrrp]] block has this name, at haldir.toml:3`,
		`conf.d/a.toml:7:13: vrrp "edge" router_id = 51: another [[vrrp]] block uses this router_id on the same interface, at haldir.toml:5 (legal: one router_id for each block on an interface)`,
		`conf.d/a.toml:8:14: vrrp "edge" addresses[0] = "192.0.2.100/24": 192.0.2.100 is held already, at haldir.toml:6`,
		`conf.d/b.toml:1:6: not TOML: expected '.' or ']' to end table name, but got '\n' instead`,
		`conf.d/c.toml:4:35: service "web" real[0].port: unknown key here (legal: address, weight, upper, lower, check; port is a key of [service.check])`,
	}, "\n")
	if err == nil {
		t.Fatal("no error")
	}
	if got := strings.ReplaceAll(err.Error(), folder+"/", ""); got != want {
		t.Errorf("findings differ (-want +got):\n%s", cmp.Diff(want, got))
	}
	found, ok := errors.AsType[Diagnostic](err)
	if !ok || found.Line != 7 || found.Column != 11 || found.Value != "1" {
		t.Errorf("the first finding is %+v", found)
	}
}

func TestUnreadable(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gave %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder without haldir.toml gave %v", err)
	}
	large := write(t, "large.toml", "")
	if err := os.Truncate(large, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, Options{}); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("a file too large gave %v", err)
	}
	opt := testHost()
	opt.Hostname = func() (string, error) { return "", errors.New("no name") }
	if _, err := Load(write(t, "a.toml", minimal), opt); err == nil || !strings.Contains(err.Error(), "reading the host name for the node's name: no name") {
		t.Errorf("a host without name gave %v", err)
	}
}

func TestNodeName(t *testing.T) {
	named := minimal + "[node]\nname = \"from-file\"\n"
	for _, test := range []struct{ node, text, want string }{
		{"from-option", named, "from-option"},
		{"", named, "from-file"},
		{"", minimal, "lvs1"},
	} {
		opt := testHost()
		opt.Node = test.node
		if got := load(t, write(t, "a.toml", test.text), opt).Node; got != test.want {
			t.Errorf("node is %q, want %q", got, test.want)
		}
	}
}

// TestDirectorOnly checks that what only a director must have is no matter for
// another host of the same file.
func TestDirectorOnly(t *testing.T) {
	text := strings.Replace(minimal, `"eth0"`, `'{{ GetDefaultInterfaces | attr "name" }}'`, 1) +
		"priority = { lvs8 = 150, lvs9 = 100 }\n[[vrrp]]\nname = \"b\"\ninterface = \"eth7\"\nrouter_id = 51\npriority = { lvs9 = 100 }\naddresses = [\"10.0.0.1/8\"]\n"
	path := write(t, "a.toml", text)
	opt := testHost()
	opt.DefaultInterface = func() (string, error) { return "", errNoDefaultRoute }
	opt.Node = "lvs8"
	if _, err := Load(path, opt); err == nil || !strings.Contains(err.Error(), "no default route") || strings.Contains(err.Error(), "eth7") {
		t.Errorf("a director without default route gave %v", err)
	}
	opt.Node = "real1"
	opt.RequireDirector = false
	c := load(t, path, opt)
	if c.VRRP[0].Interface != "" || c.VRRP[0].Priority != 0 {
		t.Errorf("block is %+v", c.VRRP[0])
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "no default route") {
		t.Errorf("warnings are %v", c.Warnings)
	}
}

func TestInterfacesUnknown(t *testing.T) {
	opt := testHost()
	opt.Interfaces = func() ([]string, error) { return nil, errors.New("no netlink") }
	_, err := Load(write(t, "a.toml", minimal), opt)
	if err == nil || !strings.Contains(err.Error(), "the interface cannot be looked for: no netlink") {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	text := strings.Join([]string{
		"[[vrrp]]", `name = "a"`, `interface = "eth0"`, "router_id = 1", "priority = { lvs1 = 100, lvs2 = 150, lvs3 = 100 }", `addresses = ["192.0.2.100/24"]`,
		"[[vrrp]]", `name = "b"`, `interface = "eth0"`, "router_id = 2", "priority = 255", `addresses = ["192.0.2.101/24"]`,
		"version = 2", `authentication = "s3cret"`,
		"[[service]]", `name = "web"`, `listen = ["192.0.2.100:80"]`, `real = [{ address = "192.0.2.11", weight = 0 }]`,
	}, "\n")
	c := load(t, write(t, "a.toml", text), testHost())
	var got []string
	for _, w := range c.Warnings {
		got = append(got, strings.TrimPrefix(w.Error(), c.Files[0]))
	}
	want := []string{
		`:5:45: vrrp "a" priority.lvs3 = 100: the same priority as lvs1: the higher address decides between them`,
		`:11:12: vrrp "b" priority = 255: 255 makes every node an address owner: give one node alone 255`,
		`:14:18: vrrp "b" authentication = ***: simple-text authentication keeps out mistakes, not attackers: everybody on the link can read it`,
		`:15:1: service "web": every real server has weight 0: no connection will be accepted`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}

// TestDigest checks that the digest follows the cluster-wide meaning alone.
func TestDigest(t *testing.T) {
	digest := func(text string, opt Options) string {
		return load(t, write(t, "a.toml", text), opt).Digest
	}
	base := digest(minimal, testHost())
	for name, text := range map[string]string{
		"comment":        minimal + "# nothing\n",
		"node name":      minimal + "[node]\nname = \"lvs2\"\n",
		"socket":         minimal + "[api]\nsocket = \"/tmp/s\"\n",
		"listen":         minimal + "[api]\nlisten = \"127.0.0.1:9512\"\n",
		"default stated": minimal + "interval = \"1s\"\nversion = 3\nchecksum = \"rfc5798\"\n",
	} {
		if digest(text, testHost()) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, text := range map[string]string{
		"interval":  minimal + "interval = \"2s\"\n",
		"version":   minimal + "version = 2\n",
		"checksum":  minimal + "checksum = \"rfc9568\"\n",
		"peers":     minimal + "peers = [\"192.0.2.2\"]\n",
		"preempt":   minimal + "preempt = false\n",
		"priority":  minimal + "priority = 101\n",
		"table":     minimal + "priority = { lvs1 = 100 }\n",
		"garp":      minimal + "[vrrp.garp]\nburst = 4\n",
		"host bits": strings.Replace(minimal, "100/24", "101/24", 1),
		"service":   minimal + "[[service]]\nname = \"w\"\nlisten = [\"192.0.2.100:80\"]\nreal = [{ address = \"192.0.2.11\" }]\n",
	} {
		if digest(text, testHost()) == base {
			t.Errorf("%s does not change the digest", name)
		}
	}
	unicast := minimal + "peers = [\"192.0.2.2\"]\n"
	if digest(unicast, testHost()) == digest(unicast+"min_ttl = 255\n", testHost()) {
		t.Error("min_ttl does not change the digest")
	}
	secret := minimal + "version = 2\nauthentication = \"a\"\n"
	if digest(secret, testHost()) == digest(strings.Replace(secret, `"a"`, `"b"`, 1), testHost()) {
		t.Error("authentication does not change the digest")
	}
	// A template means the same on hosts whose interfaces have other names.
	templated := strings.Replace(minimal, `"eth0"`, `'{{ GetDefaultInterfaces | attr "name" }}'`, 1)
	other := testHost()
	other.DefaultInterface = func() (string, error) { return "eth10", nil }
	if digest(templated, testHost()) != digest(templated, other) {
		t.Error("the interface that a template yields changes the digest")
	}
}

// FuzzLoad checks that no text stops the loader, that what it accepts survives
// its own canonical form, and that what it refuses has a position.
func FuzzLoad(f *testing.F) {
	addCorpus(f)
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(folder, "fuzz.toml")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, testHost())
		if err == nil {
			canonical := c.Canonical()
			if err := os.WriteFile(path, []byte(canonical), 0o644); err != nil {
				t.Fatal(err)
			}
			opt := testHost()
			opt.Node = c.Node
			again, err := Load(path, opt)
			if err != nil {
				t.Fatalf("the canonical form is refused: %v\n%s", err, canonical)
			}
			if again.Digest != c.Digest {
				t.Errorf("the canonical form has another digest:\n%s", cmp.Diff(canonical, again.Canonical()))
			}
			return
		}
		found, ok := errors.AsType[Diagnostics](err)
		if !ok || len(found) == 0 {
			t.Fatalf("refused by %v", err)
		}
		for i, d := range found {
			if d.Line < 1 || d.Column < 1 || d.Message == "" || d.File != path {
				t.Errorf("finding without position or message: %+v", d)
			}
			if i > 0 && (d.Line < found[i-1].Line || d.Line == found[i-1].Line && d.Column < found[i-1].Column) {
				t.Errorf("findings out of order: %v, then %v", found[i-1], d)
			}
		}
	})
}

func TestTheSameTextsMeanTheSame(t *testing.T) {
	path := write(t, "haldir.toml", "[[vrrp]]\nname = \"edge\"\ninterface = \"eth0\"\nrouter_id = 1\naddresses = [\"192.0.2.1/24\"]\n")
	first := load(t, path, testHost())
	if err := os.WriteFile(path, []byte("half an ed"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := LoadTexts(first.Texts, testHost())
	if err != nil || again.Digest != first.Digest || again.Files[0] != path {
		t.Errorf("LoadTexts = %+v, %v, want what was read from %s before", again, err, path)
	}
}

// TestSecretIsNotPrinted prints a configuration in the ways that a log would.
func TestSecretIsNotPrinted(t *testing.T) {
	const secret = "s3cret"
	c := load(t, write(t, "a.toml", minimal+"version = 2\nauthentication = \""+secret+"\"\n"), testHost())
	if c.VRRP[0].Authentication != secret {
		t.Fatalf("authentication is %q", string(c.VRRP[0].Authentication))
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c.VRRP); strings.Contains(text, secret) || !strings.Contains(text, hidden) {
			t.Errorf("%s prints %s", format, text)
		}
	}
}
