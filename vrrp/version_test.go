package vrrp

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func config2(priority uint8) RouterConfig {
	cfg := config(priority)
	cfg.Version = 2
	return cfg
}

// Version 2 by hand: VRID 51, priority 150, one second, 192.0.2.100, with and
// without the password "secret". The words are 2133 9601 0101 c000 0264, and
// 7365 6372 6574 of the password, with Auth Type 0 in 0001 instead of 0101.
var (
	literal2     = []byte{0x21, 51, 150, 1, 0, 1, 0x86, 0x65, 192, 0, 2, 100, 0, 0, 0, 0, 0, 0, 0, 0}
	literal2Auth = []byte{0x21, 51, 150, 1, 1, 1, 0x49, 0x19, 192, 0, 2, 100, 's', 'e', 'c', 'r', 'e', 't', 0, 0}
)

// RFC 3768, 5.3.8: "The checksum is the 16-bit one's complement of the one's
// complement sum of the entire VRRP message starting with the version field." No
// pseudo-header, the authentication data included.
func TestVersion2AppendWritesLiteralOctets(t *testing.T) {
	for password, want := range map[string][]byte{"": literal2, "secret": literal2Auth} {
		p := Packet{Version: 2, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}, Authentication: password}
		got, err := p.Append(nil, alpha, Group)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Append with password %q = %x, %v, want %x", password, got, err, want)
		}
	}
}

func TestVersion2ParseReadsLiteralOctets(t *testing.T) {
	for password, octets := range map[string][]byte{"": literal2, "secret": literal2Auth} {
		cfg := config2(100)
		cfg.Authentication = password
		p := Packet{Authentication: "left over", Checksum: ChecksumRFC9568}
		if reason := p.ParseFor(&cfg, datagram(octets)); reason != Accepted || p.Version != 2 || p.VRID != 51 || p.Priority != 150 || p.Interval != time.Second ||
			!slices.Equal(p.Addresses, []netip.Addr{vip}) || p.Checksum != "" || p.Authentication != "" {
			t.Errorf("ParseFor with password %q = %+v, %v", password, p, reason)
		}
	}
}

// The receive checks of RFC 3768, section 7.1, as far as they differ from version 3.
func TestVersion2ReceiveChecks(t *testing.T) {
	changed := func(octets []byte, i int, v byte) []byte {
		b := slices.Clone(octets)
		b[i], b[6], b[7] = v, 0, 0
		c := ^fold(sum(0, b))
		b[6], b[7] = byte(c>>8), byte(c)
		return b
	}
	secret := config2(100)
	secret.Authentication = "secret"
	full := secret
	full.Authentication = "secret\x01" // the comparison is of all 8 octets
	withPseudo := slices.Clone(literal2)
	withPseudo[6], withPseudo[7] = 0, 0
	c := ^fold(sum(pseudoHeader(alpha, Group, len(withPseudo)), withPseudo))
	withPseudo[6], withPseudo[7] = byte(c>>8), byte(c)
	for _, test := range []struct {
		rule string
		cfg  RouterConfig
		give []byte
		want DropReason
	}{
		{"MUST verify the VRRP version: 3 to a router of version 2", config2(100), literal, DropVersion},
		{"MUST verify the VRRP version: 2 to a router of version 3", config(100), literal2, DropVersion},
		{"complete packet: authentication data is missing", config2(100), literal2[:12], DropLength},
		{"complete packet: authentication data is cut", config2(100), literal2[:19], DropLength},
		{"complete packet: count promises more", config2(100), changed(literal2, 3, 2), DropLength},
		{"MUST verify the VRRP checksum: of the message with pseudo-header", config2(100), withPseudo, DropChecksum},
		{"MUST verify the VRRP checksum: one bit of the authentication data", secret, append(slices.Clone(literal2Auth[:19]), 1), DropChecksum},
		{"MUST verify that the Auth Type matches: none for a router with a password", secret, literal2, DropAuthentication},
		{"MUST verify that the Auth Type matches: a password for a router without", config2(100), literal2Auth, DropAuthentication},
		{"MUST verify that the Auth Type matches: 2", secret, changed(literal2Auth, 4, 2), DropAuthentication},
		{"MUST verify that the Auth Type matches: 255", config2(100), changed(literal2, 4, 255), DropAuthentication},
		{"perform that authentication method: another password", secret, changed(literal2Auth, 12, 'S'), DropAuthentication},
		{"perform that authentication method: a longer password", full, literal2Auth, DropAuthentication},
		{"authentication data of type 0 is ignored on reception", config2(100), changed(literal2, 19, 7), Accepted},
		{"MUST verify that the Adver Interval is the same: 2 s", config2(100), changed(literal2, 5, 2), DropOtherInterval},
		{"MUST verify that the Adver Interval is the same: 0 s", config2(100), changed(literal2, 5, 0), DropOtherInterval},
		{"any priority, also 0", config2(100), changed(literal2, 2, 0), Accepted},
		{"VRID is 1..255", config2(100), changed(literal2, 1, 0), DropVRID},
	} {
		var p Packet
		if got := p.ParseFor(&test.cfg, datagram(test.give)); got != test.want {
			t.Errorf("%s: %v, want %v", test.rule, got, test.want)
		}
	}
}

// RFC 3768, 6.1: "Skew_Time: Time to skew Master_Down_Interval in seconds.
// Calculated as: ( (256 - Priority) / 256 )". "Master_Down_Interval ... Calculated
// as: (3 * Advertisement_Interval) + Skew_time". In seconds whatever the interval.
func TestVersion2Timers(t *testing.T) {
	cfg := config2(128)
	cfg.Interval = 10 * time.Second
	b := started(t, cfg)
	b.wantDeadline(30*time.Second + 500*time.Millisecond)
	b.step2(alpha, 200, 10*time.Second)
	b.wantDeadline(30*time.Second + 500*time.Millisecond)
	b.step2(alpha, 0, 10*time.Second)
	b.wantDeadline(500 * time.Millisecond)
	if got, want := cfg.Patience(), 30*time.Second+time.Second*2/256; got != want {
		t.Errorf("patience = %v, want %v", got, want)
	}
}

// step2 delivers an advert as version 2 would.
func (b *bench) step2(from netip.Addr, priority uint8, interval time.Duration) {
	b.Helper()
	b.m.Step(b.now, Event{Kind: EventPacket, From: from, Packet: &Packet{Version: 2, VRID: 51, Priority: priority, Interval: interval}})
}

// Another interval is the own one at once, since adverts of the old one do not
// count any more; and nothing that was learned counts with another version.
func TestVersionAndIntervalChangeAtRunTime(t *testing.T) {
	b := started(t, config2(128))
	b.step2(alpha, 200, time.Second)
	slower := config2(128)
	slower.Interval = 4 * time.Second
	b.m.Step(b.now, Event{Kind: EventConfigure, Config: &slower})
	b.wantDeadline(12500 * time.Millisecond)
	third := config(128)
	b.m.Step(b.now, Event{Kind: EventConfigure, Config: &third})
	b.wantDeadline(3500 * time.Millisecond)
	resumed := newBench(t, slower)
	resumed.m.Step(b.now, Event{Kind: EventResume, Resume: &Resume{State: Backup, Master: alpha, MasterInterval: time.Second}})
	resumed.wantDeadline(12500 * time.Millisecond)
}

func TestVersion2TakesOverAndAdvertises(t *testing.T) {
	b := started(t, config2(128))
	b.now = b.now.Add(3500 * time.Millisecond)
	actions := b.m.Advance(b.now)
	var p Packet
	d := &Datagram{Source: beta, Destination: Group, TTL: 255, Payload: actions[0].Message}
	if reason := p.ParseFor(new(config2(1)), d); reason != Accepted || p.Priority != 128 || actions[1].Transition.To != Master {
		t.Errorf("actions = %+v: %v", actions, reason)
	}
}

func TestValidateOfVersions(t *testing.T) {
	change := func(fn func(*RouterConfig)) *RouterConfig {
		cfg := config(100)
		fn(&cfg)
		return &cfg
	}
	for _, good := range []*RouterConfig{
		change(func(c *RouterConfig) { c.Version = 3 }),
		change(func(c *RouterConfig) { c.Version, c.Interval = 2, MaxInterval2 }),
		change(func(c *RouterConfig) { c.Version, c.Authentication = 2, "12345678" }),
		change(func(c *RouterConfig) { c.Checksum = ChecksumRFC9568 }),
		change(func(c *RouterConfig) { c.Checksum = ChecksumRFC5798 }),
	} {
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, cfg := range map[string]*RouterConfig{
		"version 4: must be 2 or 3":                                    change(func(c *RouterConfig) { c.Version = 4 }),
		"version 2: is of IPv4":                                        change(func(c *RouterConfig) { c.Version, c.Addresses = 2, []netip.Addr{vip6} }),
		"interval 100ms: must be a multiple of 1s from 1s to 4m15s":    change(func(c *RouterConfig) { c.Version, c.Interval = 2, 100*time.Millisecond }),
		"interval 4m16s: must be a multiple of 1s from 1s to 4m15s":    change(func(c *RouterConfig) { c.Version, c.Interval = 2, 256*time.Second }),
		"authentication: version 3 has none":                           change(func(c *RouterConfig) { c.Authentication = "x" }),
		"authentication: 9 octets: must be at most 8":                  change(func(c *RouterConfig) { c.Version, c.Authentication = 2, "123456789" }),
		"authentication: must not contain NUL":                         change(func(c *RouterConfig) { c.Version, c.Authentication = 2, "a\x00b" }),
		`checksum "none": must be "rfc5798" or "rfc9568"`:              change(func(c *RouterConfig) { c.Checksum = "none" }),
		`checksum "rfc9568": there is a choice in version 3 over IPv4`: change(func(c *RouterConfig) { c.Version, c.Checksum = 2, ChecksumRFC9568 }),
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, lacks %q", err, want)
		} else if _, err := (&Packet{Version: cfg.Version, VRID: 1, Interval: cfg.Interval, Addresses: cfg.Addresses, Authentication: cfg.Authentication}).
			Append(nil, alpha, Group); err == nil && cfg.Checksum == "" {
			t.Errorf("%s: can be encoded all the same", want)
		}
	}
}

func TestPasswordIsWarnedOf(t *testing.T) {
	cfg := config2(100)
	cfg.Authentication = "secret"
	if got := cfg.Warnings(); len(got) != 1 || !strings.Contains(got[0], "keeps out mistakes, not attackers") {
		t.Errorf("warnings = %q", got)
	}
}

// RFC 9568, 5.2.8, is what is sent if the user says so, and either form is told.
func TestChecksumForms(t *testing.T) {
	for form, octets := range map[Checksum][]byte{"": literal, ChecksumRFC5798: literal, ChecksumRFC9568: literal9568} {
		p := Packet{VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}, Checksum: form}
		got, err := p.Append(nil, alpha, Group)
		if err != nil || !bytes.Equal(got, octets) {
			t.Errorf("Append with checksum %q = %x, %v, want %x", form, got, err, octets)
		}
		want := form
		if want == "" {
			want = ChecksumRFC5798
		}
		if reason := p.Parse(datagram(octets)); reason != Accepted || p.Checksum != want {
			t.Errorf("Parse of form %q = %q, %v", form, p.Checksum, reason)
		}
	}
	var p Packet
	if reason := p.Parse(datagram6(literal6)); reason != Accepted || p.Checksum != "" || p.Version != 3 {
		t.Errorf("Parse over IPv6 = %+v, %v, want no form", p, reason)
	}
}

// Version 2 has no form for IPv6, so nothing over IPv6 is of it.
func TestVersion2IsOfIPv4Alone(t *testing.T) {
	six := slices.Clone(literal6)
	six[0] = 0x21
	var p Packet
	if got := p.ParseFor(new(config2(100)), datagram6(six)); got != DropVersion {
		t.Errorf("ParseFor over IPv6 = %v, want %v", got, DropVersion)
	}
}

func TestVersion2CodecDoesNotAllocate(t *testing.T) {
	cfg := config2(100)
	cfg.Authentication = "secret"
	p := Packet{Version: 2, VRID: 51, Priority: 150, Interval: time.Second, Addresses: []netip.Addr{vip}, Authentication: "secret"}
	b := make([]byte, 0, 64)
	d := datagram(literal2Auth)
	if n := testing.AllocsPerRun(100, func() {
		p.Authentication = "secret"
		_, _ = p.Append(b, alpha, Group)
		_ = p.ParseFor(&cfg, d)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
