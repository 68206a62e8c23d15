package ipvsnl

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

var comparer = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// TestRequestsByteForByte holds what the kernel was seen to accept on a
// little-endian machine, attribute by attribute.
func TestRequestsByteForByte(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the expected bytes are little-endian")
	}
	service := ipvsctl.Service{
		Key:       ipvsctl.ServiceKey{Protocol: ipvsctl.TCP, Address: netip.MustParseAddr("192.0.2.1"), Port: 80},
		Scheduler: "sh", Flags: ipvsctl.SchedPort, Persistence: 5 * time.Minute, PersistencePrefix: 24, Engine: "sip",
	}
	const (
		keyBytes = "0600010002000000" + // family AF_INET
			"0600020006000000" + // protocol 6
			"14000300c0000201000000000000000000000000" + // address
			"0600040000500000" // port, big-endian
		v6Key = "060001000a000000" + "0800050007000000"
	)
	for name, c := range map[string]struct {
		op   ipvsctl.Op
		want string
	}{
		"add a service": {ipvsctl.Op{Kind: ipvsctl.AddService, Service: service}, "01010000" +
			"5c000180" + keyBytes +
			"0700060073680000" + // scheduler "sh\0"
			"0c000700110000003d000000" + // flags persistent and the second, mask
			"080008002c010000" + // 300 s
			"08000900ffffff00" + // 255.255.255.0
			"08000b0073697000"}, // engine "sip\0"
		"delete a service by mark": {ipvsctl.Op{Kind: ipvsctl.DeleteService, Service: ipvsctl.Service{
			Key: ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv6}}}, "03010000" + "14000180" + v6Key},
		"update a service that is not persistent": {ipvsctl.Op{Kind: ipvsctl.UpdateService, Service: ipvsctl.Service{
			Key: ipvsctl.ServiceKey{FWMark: 7, Family: ipvsctl.IPv6}, Scheduler: "rr"}}, "02010000" + "38000180" + v6Key +
			"0700060072720000" + "0c000700000000003d000000" + "0800080000000000" + "0800090080000000"},
		"add a destination": {ipvsctl.Op{Kind: ipvsctl.AddDest, Service: service, Dest: ipvsctl.Dest{
			Key:     ipvsctl.DestKey{Address: netip.MustParseAddr("2001:db8::2"), Port: 80},
			Forward: ipvsctl.TUN, Weight: 70000, Upper: 9, Lower: 3,
			Tunnel: ipvsctl.Tunnel{Type: ipvsctl.GUE, Port: 6080, Flags: ipvsctl.TunnelRemoteChecksum}}}, "05010000" +
			"30000180" + keyBytes +
			"60000280" + "1400010020010db8000000000000000000000002" + "0600020000500000" + "06000b000a000000" +
			"0800030002000000" + "0800040070110100" + "0800050009000000" + "0800060003000000" +
			"05000d0001000000" + "06000e0017c00000" + "06000f0002000000"},
		"delete a destination": {ipvsctl.Op{Kind: ipvsctl.DeleteDest, Service: service, Dest: ipvsctl.Dest{
			Key: ipvsctl.DestKey{Address: netip.MustParseAddr("198.51.100.1"), Port: 80}}}, "07010000" +
			"30000180" + keyBytes +
			"28000280" + "14000100c6336401000000000000000000000000" + "0600020000500000" + "06000b0002000000"},
	} {
		var b buffer
		if err := b.op(&c.op); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := hex.EncodeToString(b); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestWhatHasNoEncodingIsRefused(t *testing.T) {
	service := ipvstest.Pools(1, 1)[0]
	for want, op := range map[string]ipvsctl.Op{
		"refused as invalid: unknown kind of operation 99":                                {Kind: 99, Service: service},
		"refused as invalid: the service has neither an address nor a mark with a family": {Kind: ipvsctl.DeleteService},
		"refused as invalid: the destination has no address":                              {Kind: ipvsctl.DeleteDest, Service: service},
		"refused as invalid: forwarding method 4": {Kind: ipvsctl.AddDest, Service: service, Dest: ipvsctl.Dest{
			Key: service.Dests[0].Key, Forward: 4}},
		"value out of range: persistence -1s": {Kind: ipvsctl.AddService, Service: ipvsctl.Service{
			Key: service.Key, Persistence: -time.Second}},
		"refused as invalid: persistence prefix 33 is longer than 32": {Kind: ipvsctl.AddService, Service: ipvsctl.Service{
			Key: service.Key, Persistence: time.Second, PersistencePrefix: 33}},
	} {
		b := buffer("before")
		if err := b.op(&op); err == nil || err.Error() != want {
			t.Errorf("%v = %v, want %s", op, err, want)
		}
		if string(b) != "before" {
			t.Errorf("%v appended %x", op, b[6:])
		}
	}
}

// answerOf encodes a service and the given further attributes as an answer.
func answerOf(s ipvsctl.Service, more func(*buffer)) []byte {
	var b buffer
	b.header(cmdNewService)
	end := b.nest(attrService)
	inner := buffer{}
	inner.service(&s, true)
	b = append(b, inner[4:]...)
	if more != nil {
		more(&b)
	}
	end()
	return b
}

func TestWhatServiceCannotExpressIsIrregular(t *testing.T) {
	v4 := ipvsctl.Service{Key: ipvstest.Pools(1, 0)[0].Key, Scheduler: "rr", Persistence: time.Minute}
	v6 := ipvsctl.Service{Key: ipvsctl.ServiceKey{FWMark: 1, Family: ipvsctl.IPv6}, Scheduler: "rr", Persistence: time.Minute}
	for want, message := range map[string][]byte{
		"persistence netmask 0.255.255.255": answerOf(v4, func(b *buffer) { b.attr(svcNetmask, 0, 255, 255, 255) }),
		"persistence netmask 0.0.0.0":       answerOf(v4, func(b *buffer) { b.attr(svcNetmask, 0, 0, 0, 0) }),
		"persistence prefix 129":            answerOf(v6, func(b *buffer) { b.u32(svcNetmask, 129) }),
		"persistence of 0 s":                answerOf(v4, func(b *buffer) { b.u32(svcTimeout, 0) }),
		"":                                  answerOf(v4, func(b *buffer) { b.attr(svcNetmask, 255, 255, 254, 0) }),
	} {
		live, err := decodeService(message)
		if err != nil || live.Irregular != want {
			t.Errorf("Irregular = %q, %v, want %q", live.Irregular, err, want)
		}
	}
}

func TestTheKernelsOwnFlagsAreNotOurs(t *testing.T) {
	s := ipvsctl.Service{Key: ipvstest.Pools(1, 0)[0].Key, Scheduler: "mh", Flags: ipvsctl.SchedPort}
	live, err := decodeService(answerOf(s, func(b *buffer) {
		var flags [8]byte
		binary.NativeEndian.PutUint32(flags[:], 0xffffffc2|0x10)
		b.attr(svcFlags, flags[:]...)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, live.Spec(), comparer); diff != "" {
		t.Errorf("unexpected service (-want +got):\n%s", diff)
	}
}

func TestStatsPreferTheWideCounters(t *testing.T) {
	narrow := func(b *buffer) {
		end := b.nest(svcStats)
		b.u32(statConns, 5)
		b.attr(statInBytes, binary.NativeEndian.AppendUint64(nil, 6)...)
		b.u32(statOutByteRate, 7)
		end()
	}
	wide := func(b *buffer) {
		end := b.nest(svcStats64)
		b.attr(statConns, binary.NativeEndian.AppendUint64(nil, 1<<40)...)
		b.attr(11) // padding
		b.attr(statOutPackets, binary.NativeEndian.AppendUint64(nil, 9)...)
		end()
	}
	s := ipvstest.Pools(1, 0)[0]
	for name, c := range map[string]struct {
		message []byte
		want    ipvsctl.Stats
	}{
		"narrow only": {answerOf(s, narrow), ipvsctl.Stats{Conns: 5, InBytes: 6, OutBytesPerSec: 7}},
		"both":        {answerOf(s, func(b *buffer) { wide(b); narrow(b) }), ipvsctl.Stats{Conns: 1 << 40, OutPackets: 9}},
		"none":        {answerOf(s, nil), ipvsctl.Stats{}},
	} {
		live, err := decodeService(c.message)
		if err != nil || live.Stats != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, live.Stats, err, c.want)
		}
	}
}

func TestTruncatedAnswersAreRefused(t *testing.T) {
	whole := answerOf(ipvstest.Everything()[6], nil)
	dest := liveDestAnswer(ipvstest.Everything()[6].Dests[1])
	for n := range len(whole) {
		if s, err := decodeService(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes decode to %v", n, len(whole), s.Key)
		}
	}
	for n := range len(dest) {
		if d, err := decodeDest(dest[:n], ipvsctl.IPv6); err == nil {
			t.Errorf("the first %d of %d bytes decode to %v", n, len(dest), d.Key)
		}
	}
	if _, err := decodeService(whole[:len(whole)-1]); !errors.Is(err, errTruncated) {
		t.Errorf("decodeService = %v, want %v", err, errTruncated)
	}
}

func liveDestAnswer(d ipvsctl.Dest) []byte {
	var b buffer
	b.header(cmdNewDest)
	b.dest(&d, true)
	return b
}

func TestMalformedAnswersNameTheAttribute(t *testing.T) {
	s := ipvstest.Pools(1, 0)[0]
	for want, message := range map[string][]byte{
		"reading a service: attribute 7: 4 bytes instead of 8":        answerOf(s, func(b *buffer) { b.u32(svcFlags, 1) }),
		"reading a service: attribute 1: 4 bytes instead of 2":        answerOf(s, func(b *buffer) { b.u32(svcFamily, 2) }),
		"reading a service: unknown address family 5":                 answerOf(s, func(b *buffer) { b.u16(svcFamily, 5) }),
		"reading a service: protocol 256 is above 255":                answerOf(s, func(b *buffer) { b.u16(svcProtocol, 256) }),
		"reading a service: no address: 3 bytes for address family 2": answerOf(s, func(b *buffer) { b.attr(svcAddress, 1, 2, 3) }),
		"reading a statistic: attribute 1: 2 bytes instead of 4":      answerOf(s, func(b *buffer) { end := b.nest(svcStats); b.u16(statConns, 1); end() }),
		"reading a service: the answer holds none":                    {1, 1, 0, 0},
		"reading a service: the answer is truncated":                  {1, 1},
	} {
		if _, err := decodeService(message); err == nil || err.Error() != want {
			t.Errorf("decodeService = %v, want %s", err, want)
		}
	}
}

func TestUnknownAttributesAndMethodsAreKeptApart(t *testing.T) {
	s := ipvstest.Pools(1, 0)[0]
	live, err := decodeService(answerOf(s, func(b *buffer) { b.u32(200, 1) }))
	if err != nil || live.Key != s.Key {
		t.Errorf("a service with an attribute of a newer kernel: %v, %v", live.Key, err)
	}
	var b buffer
	b.header(cmdNewDest)
	end := b.nest(attrDest)
	b.address(dstAddress, netip.MustParseAddr("198.51.100.1"))
	b.u32(dstForward, 4)
	end()
	// Kernels before 3.18 tell no family: it is the service's.
	d, err := decodeDest(b, ipvsctl.IPv4)
	if err != nil || d.Key.Address.String() != "198.51.100.1" || !strings.HasSuffix(d.Forward.String(), "method 4") {
		t.Errorf("a destination with an unknown forwarding method: %v, %v, %v", d.Key, d.Forward, err)
	}
}

func FuzzDecodeService(f *testing.F) {
	for _, s := range ipvstest.Everything() {
		f.Add(answerOf(s, nil))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		live, err := decodeService(message)
		if err != nil || live.Irregular != "" || live.Key.Address.Zone() != "" {
			return
		}
		// What decodes can be written again, and reads back the same.
		op := ipvsctl.Op{Kind: ipvsctl.AddService, Service: live.Service}
		var b buffer
		if err := b.op(&op); err != nil {
			if !errors.Is(err, ipvsctl.ErrRange) {
				t.Fatalf("encoding what was decoded: %v", err)
			}
			return
		}
		again, err := decodeService(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(live.Service, again.Service, comparer); diff != "" {
			t.Errorf("reading again what was decoded (-first +second):\n%s", diff)
		}
	})
}

func FuzzDecodeDest(f *testing.F) {
	for _, s := range ipvstest.Everything() {
		for _, d := range s.Dests {
			f.Add(liveDestAnswer(d))
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		live, err := decodeDest(message, ipvsctl.IPv4)
		if err != nil || live.Forward > ipvsctl.Local {
			return
		}
		again, err := decodeDest(liveDestAnswer(live.Dest), ipvsctl.IPv4)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(live.Dest, again.Dest, comparer); diff != "" {
			t.Errorf("reading again what was decoded (-first +second):\n%s", diff)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	ops := ipvsctl.Plan(ipvstest.Pools(200, 4), nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		requests := make(buffer, 0, 160*len(ops))
		for i := range ops {
			if err := requests.op(&ops[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ops)), "ns/request")
}

func BenchmarkDecode(b *testing.B) {
	message := answerOf(ipvstest.Everything()[0], nil)
	dest := liveDestAnswer(ipvstest.Everything()[0].Dests[2])
	b.Run("service", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeService(message); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("destination", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeDest(dest, ipvsctl.IPv4); err != nil {
				b.Fatal(err)
			}
		}
	})
}
