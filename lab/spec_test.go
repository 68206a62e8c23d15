package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
)

func TestAnEmptySpecIsADRPair(t *testing.T) {
	s, err := ParseSpec("")
	if err != nil {
		t.Fatal(err)
	}
	if s.Lab.Directors != 2 || s.Lab.RealServers != 2 || s.Lab.Forward != ForwardDR || s.Lab.Interval.D() != 100*time.Millisecond || len(s.Services) != 2 {
		t.Errorf("spec = %+v, want two directors, two real servers, dr, 100ms", s)
	}
}

func TestSpecKeysAreRead(t *testing.T) {
	s, err := ParseSpec(`
[lab]
directors = 3
real_servers = 4
forward = "nat"
ipv6 = true
interval = "50ms"
preempt = false
check_every = "200ms"
check_fall = 3
check_rise = 4
check_vip = true
vmac = true
second = "192.0.2.102/24"
extra = "# more"
[client]
udp = 500
tcp = 0
timeout = "2s"
[[service]]
name = "web"
protocol = "tcp"
port = 80
real_port = 8080
scheduler = "wlc"
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{3, 4, false, "nat", true, Duration(50 * time.Millisecond), false, Duration(200 * time.Millisecond), 3, 4, true, true, "192.0.2.102/24", "# more"}
	if s.Lab != want {
		t.Errorf("lab = %+v, want %+v", s.Lab, want)
	}
	if s.Client != (Requests{500, 0, Duration(2 * time.Second)}) {
		t.Errorf("client = %+v", s.Client)
	}
	if len(s.Services) != 1 || s.Services[0] != (Service{Name: "web", Protocol: "tcp", Port: 80, RealPort: 8080, Scheduler: "wlc"}) {
		t.Errorf("services = %+v", s.Services)
	}
}

func TestSpecErrorsNameTheKeyAndWhatIsLegal(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no TOML", "[lab]\ndirectors = ", "line 2: "},
		{"unknown key", "[lab]\ndirector = 2", "lab.director: unknown key (legal: directors, real_servers, "},
		{"unknown table", "[labs]", "labs: unknown key (legal: [lab], [client], [[service]]"},
		{"wrong type", "[lab]\ndirectors = \"two\"", `line 2 (last key "lab.directors"): incompatible types`},
		{"number for a duration", "[lab]\ninterval = 1", "line 2: "},
		{"no duration", "[lab]\ninterval = \"soon\"", `"soon" is not a duration such as "100ms"`},
		{"directors", "[lab]\ndirectors = 9", "lab.directors = 9: legal is 1 to 8"},
		{"real servers", "[lab]\nreal_servers = 0", "lab.real_servers = 0: legal is 1 to 32"},
		{"directors that serve", "[lab]\nforward = \"nat\"\ndirectors_serve = true", "lab.directors_serve = true: legal is false with forward = nat"},
		{"real servers without forwarding", "[lab]\nforward = \"none\"\nreal_servers = 2", "lab.real_servers = 2: legal is 0 to 0"},
		{"forward", "[lab]\nforward = \"dnat\"", `lab.forward = "dnat": legal is dr, tun, nat, none`},
		{"interval range", "[lab]\ninterval = \"41s\"", "lab.interval = 41s: legal is 10ms to 40.95s"},
		{"interval step", "[lab]\ninterval = \"105ms\"", "lab.interval = 105ms: legal is a multiple of 10ms"},
		{"check", "[lab]\ncheck_every = \"1ms\"", "lab.check_every = 1ms: legal is 100ms to 1h0m0s"},
		{"rate", "[client]\nudp = -1", "client.udp = -1: legal is 0 to 10000"},
		{"no requests", "[client]\nudp = 0\ntcp = 0", "client: udp and tcp are both 0"},
		{"mapped port in dr", "[[service]]\nname = \"a\"\nprotocol = \"udp\"\nport = 1\nreal_port = 2", `service "a": real_port = 2: legal is the port of the service; only nat maps ports`},
		{"protocol", "[[service]]\nname = \"a\"\nprotocol = \"icmp\"\nport = 1", `service "a": protocol = "icmp": legal is udp, tcp`},
		{"twice", "[[service]]\nname = \"a\"\nprotocol = \"udp\"\nport = 1\n[[service]]\nname = \"b\"\nprotocol = \"udp\"\nport = 1", `service "b": udp port 1 is taken by an earlier service`},
		{"no name", "[[service]]\nprotocol = \"udp\"\nport = 1", `service "#1": name = "": legal is a name`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseSpec(test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestSpecErrorsAreAllReported(t *testing.T) {
	_, err := ParseSpec("[lab]\ndirectors = 0\nfoo = 1\n[client]\nudp = 20000")
	for _, want := range []string{"lab.directors", "lab.foo", "client.udp"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to name %s", err, want)
		}
	}
}

// TestGeneratedConfigurationsAreLegal has haldir's own reader judge them.
func TestGeneratedConfigurationsAreLegal(t *testing.T) {
	for _, forward := range []string{ForwardDR, ForwardTUN, ForwardNAT, ForwardNone} {
		t.Run(forward, func(t *testing.T) {
			spec := DefaultSpec(forward)
			spec.Lab.IPv6 = true
			path := filepath.Join(t.TempDir(), "haldir.toml")
			if err := os.WriteFile(path, []byte(spec.Configuration()), 0o644); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(path, config.Options{Node: "d2"})
			if err != nil {
				t.Fatalf("%v\n%s", err, spec.Configuration())
			}
			if len(cfg.Warnings) != 0 {
				t.Errorf("warnings: %v", cfg.Warnings)
			}
			v := cfg.VRRP[0]
			if v.Interval != 100*time.Millisecond || v.Priority != uint8(priority(1)) || v.Addresses[0].Addr() != spec.VIP() || !v.Preempt {
				t.Errorf("vrrp = %+v", v)
			}
			if preview := cfg.Preview()[0]; preview.Winner != "d1" || preview.Nodes[0].Crash != spec.MasterDown() {
				t.Errorf("preview = %+v, want d1 to win and a crash of it to last %v", preview, spec.MasterDown())
			}
			if forward == ForwardNone {
				if len(cfg.Services) != 0 {
					t.Errorf("services = %+v, want none", cfg.Services)
				}
				return
			}
			for i, s := range cfg.Services {
				vip := spec.VIPs()[i%2]
				if s.Listen[0].Addr() != vip || s.Real[0].Address.Is4() != vip.Is4() {
					t.Errorf("service %s is of %v and %v, want %s", s.Name, s.Listen, s.Real, vip)
				}
				if s.Forward != forward || s.Protocol != spec.Services[i/2].Protocol || len(s.Real) != 2 || len(s.Checks) == 0 {
					t.Errorf("service = %+v", s)
				}
				mapped := s.Real[0].Port != 0 && s.Real[0].Port != s.Listen[0].Port()
				if mapped != (forward == ForwardNAT) {
					t.Errorf("%s maps ports = %v: %+v", s.Name, mapped, s.Real)
				}
			}
		})
	}
}

func TestExtraConfigurationIsAppended(t *testing.T) {
	spec := DefaultSpec(ForwardNone)
	spec.Lab.Extra = "[api]\nsocket = \"/run/x.sock\""
	if got := spec.Configuration(); !strings.HasSuffix(got, "\n\n[api]\nsocket = \"/run/x.sock\"\n") {
		t.Errorf("configuration ends in %q", got)
	}
}

func TestAddressesAndStationsAreDistinct(t *testing.T) {
	spec := DefaultSpec(ForwardNAT)
	spec.Lab.Directors, spec.Lab.RealServers, spec.Lab.IPv6 = 8, 32, true
	seen := map[string]string{}
	for _, p := range spec.layout() {
		for _, key := range []string{p.name, p.address(ipv4).Addr().String(), p.address(ipv6).Addr().String(), p.mac.String()} {
			if other, taken := seen[key]; taken && p.kind != KindSwitch {
				t.Errorf("%s has %s, and so has %s", p.name, key, other)
			}
			seen[key] = p.name
		}
		if vips := spec.VIPs(); p.address(ipv4).Addr() == vips[0] || p.address(ipv6).Addr() == vips[1] {
			t.Errorf("%s has the virtual address", p.name)
		}
	}
}
