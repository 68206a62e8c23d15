package netif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestVirtualLinkIsNamedAndAddressedByRFC9568(t *testing.T) {
	for _, test := range []struct {
		parent string
		vrid   uint8
		six    bool
		want   string
	}{
		{"eth0", 51, false, "vr4.51.eth0 (00:00:5e:00:01:33 on eth0)"},
		{"eth0", 255, true, "vr6.255.eth0 (00:00:5e:00:02:ff on eth0)"},
		{"bond0.1", 255, false, "vr4.255.bond0.1 (00:00:5e:00:01:ff on bond0.1)"},
	} {
		if got := NewVirtualLink(test.parent, test.vrid, test.six).String(); got != test.want {
			t.Errorf("%s, %d: %s, want %s", test.parent, test.vrid, got, test.want)
		}
	}
	long, other := NewVirtualLink("enp129s0f0np0", 255, false), NewVirtualLink("enp129s0f1np1", 255, false)
	if len(long.Name) != maxLinkName || long.Name == other.Name || !strings.HasPrefix(long.Name, "vr4.255.") {
		t.Errorf("links of long names: %q and %q, want two of %d octets", long.Name, other.Name, maxLinkName)
	}
}

// fakeLinks is a kernel in memory.
type fakeLinks struct {
	list     []Link
	quiet    map[int]bool
	sysctls  map[string]string
	did      []string
	noSilent error
}

func newFakeLinks() *fakeLinks {
	return &fakeLinks{
		list:    []Link{{Name: "eth0", Index: 2, Up: true, Type: "device"}, {Name: "mv0", Index: 3, Up: true, Type: "macvlan"}},
		quiet:   map[int]bool{},
		sysctls: map[string]string{"net/ipv4/conf/eth0/forwarding": "1", "net/ipv6/conf/eth0/forwarding": "0"},
	}
}

func (f *fakeLinks) say(format string, args ...any) {
	f.did = append(f.did, fmt.Sprintf(format, args...))
}
func (f *fakeLinks) at(index int) *Link {
	return &f.list[slices.IndexFunc(f.list, func(l Link) bool { return l.Index == index })]
}
func (f *fakeLinks) links(context.Context) ([]Link, error) { return slices.Clone(f.list), nil }
func (f *fakeLinks) add(parent Link, l VirtualLink) error {
	f.say("add %s", l.Name)
	f.list = append(f.list, Link{Name: l.Name, Index: 10 + len(f.list), Parent: parent.Index, MAC: l.MAC[:], Type: "macvlan", Virtual: true})
	for _, path := range []string{"net/ipv4/conf/" + l.Name + "/forwarding", "net/ipv6/conf/" + l.Name + "/disable_ipv6"} {
		f.sysctls[path] = "0"
	}
	return nil
}
func (f *fakeLinks) remove(index int) error {
	f.say("remove %s", f.at(index).Name)
	f.list = slices.DeleteFunc(f.list, func(l Link) bool { return l.Index == index })
	return nil
}
func (f *fakeLinks) setUp(index int, up bool) error {
	f.say("%s up: %v", f.at(index).Name, up)
	f.at(index).Up = up
	return nil
}
func (f *fakeLinks) muted(index int) (bool, error) { return f.quiet[index], nil }
func (f *fakeLinks) mute(index int, mute bool) error {
	if f.noSilent != nil {
		return f.noSilent
	}
	f.say("%s muted: %v", f.at(index).Name, mute)
	f.quiet[index] = mute
	return nil
}
func (f *fakeLinks) readSysctl(path string) (string, error) {
	if value, ok := f.sysctls[path]; ok {
		return value, nil
	}
	return "", fs.ErrNotExist
}
func (f *fakeLinks) writeSysctl(path, value string) error { f.sysctls[path] = value; return nil }

// bring prepares and raises, and returns what that did.
func (f *fakeLinks) bring(t *testing.T, desired ...VirtualLink) []string {
	t.Helper()
	f.did = nil
	for _, step := range []func(context.Context, []VirtualLink) (VirtualLinkResult, error){virtualLinks{f}.prepare, virtualLinks{f}.raise} {
		result, err := step(t.Context(), desired)
		if err = errors.Join(err, result.Err()); err != nil {
			t.Fatal(err)
		}
	}
	return f.did
}

func TestVirtualLinksFollowTheRole(t *testing.T) {
	f, link := newFakeLinks(), NewVirtualLink("eth0", 51, false)
	up, muted := link, link
	up.Up = true
	muted.Up, muted.Muted = true, true
	for _, step := range []struct {
		name string
		want []VirtualLink
		did  []string
	}{
		{"backup", []VirtualLink{link}, []string{"add vr4.51.eth0"}},
		{"master", []VirtualLink{up}, []string{"vr4.51.eth0 up: true"}},
		{"still", []VirtualLink{up}, nil},
		{"the successor has announced", []VirtualLink{muted}, []string{"vr4.51.eth0 muted: true"}},
		{"let go", []VirtualLink{link}, []string{"vr4.51.eth0 up: false"}},
		{"muted is not worth raising", []VirtualLink{muted}, nil},
		{"master again, with a voice", []VirtualLink{up}, []string{"vr4.51.eth0 muted: false", "vr4.51.eth0 up: true"}},
		{"muted again", []VirtualLink{muted}, []string{"vr4.51.eth0 muted: true"}},
		{"nobody took over", []VirtualLink{up}, []string{"vr4.51.eth0 muted: false"}},
		{"another VRID", []VirtualLink{NewVirtualLink("eth0", 52, false)}, []string{"remove vr4.51.eth0", "add vr4.52.eth0"}},
		{"none", nil, []string{"remove vr4.52.eth0"}},
	} {
		if got := f.bring(t, step.want...); !slices.Equal(got, step.did) {
			t.Errorf("%s: did %q, want %q", step.name, got, step.did)
		}
	}
	f.bring(t, up)
	f.noSilent = errors.New("no traffic control")
	if got, want := f.bring(t, muted), []string{"vr4.51.eth0 up: false"}; !slices.Equal(got, want) {
		t.Errorf("one that cannot be muted: did %q, want %q", got, want)
	}
}

func TestVirtualLinksTouchOnlyOurs(t *testing.T) {
	f := newFakeLinks()
	f.list = append(f.list, Link{Name: "vr4.51.eth0", Index: 9, Parent: 2, Type: "macvlan", MAC: []byte{0, 0, 0x5e, 0, 1, 51}})
	for _, test := range []struct {
		want   VirtualLink
		reason error
	}{
		{NewVirtualLink("eth0", 51, false), errTaken},
		{NewVirtualLink("eth9", 52, false), ErrNoInterface},
		{NewVirtualLink("mv0", 53, false), errOnMacvlan},
	} {
		result, err := virtualLinks{f}.prepare(t.Context(), []VirtualLink{test.want})
		if err != nil || !errors.Is(result.Err(), test.reason) || len(f.did) != 0 {
			t.Errorf("%s: %v, %v, did %q; want %v", test.want, err, result.Err(), f.did, test.reason)
		}
	}
	if got := f.bring(t); len(got) != 0 {
		t.Errorf("without a wish: did %q, want nothing", got)
	}
}

func TestVirtualLinkParameters(t *testing.T) {
	f := newFakeLinks()
	f.bring(t, NewVirtualLink("eth0", 51, false))
	for path, want := range map[string]string{"net/ipv4/conf/vr4.51.eth0/forwarding": "1", "net/ipv6/conf/vr4.51.eth0/disable_ipv6": "1"} {
		if got := f.sysctls[path]; got != want {
			t.Errorf("%s = %q, want %q", path, got, want)
		}
	}
}
