package ipvsnl

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/haldir-lb/haldir/ipvsctl"
)

// TestDaemonsByteForByte holds what the kernel was seen to accept on a
// little-endian machine: unlike every other port, this one is in its order.
func TestDaemonsByteForByte(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the expected bytes are little-endian")
	}
	master := ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: "eth1", ID: 51}
	for name, c := range map[string]struct {
		cmd  uint8
		d    ipvsctl.SyncDaemon
		full bool
		want string
	}{
		"start with the defaults": {cmdNewDaemon, master, true, "09010000" + "38000380" +
			"0800010001000000" + "090002006574683100000000" + "0800030033000000" +
			"08000500e0000051" + "0600070090220000" + "0500080001000000"},
		"start with everything": {cmdNewDaemon, ipvsctl.SyncDaemon{Role: ipvsctl.SyncBackup, Interface: "eth1", ID: 2,
			Group: netip.MustParseAddr("ff02::81"), Port: 9000, TTL: 7, MaxLen: 1000}, true, "09010000" + "4c000380" +
			"0800010002000000" + "090002006574683100000000" + "0800030002000000" + "06000400e8030000" +
			"14000600ff020000000000000000000000000081" + "0600070028230000" + "0500080007000000"},
		"stop": {cmdDelDaemon, master, false, "0a010000" + "0c000380" + "0800010001000000"},
	} {
		var b buffer
		if err := b.daemon(c.cmd, c.d, c.full); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := hex.EncodeToString(b); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestADaemonWithoutAnInterfaceIsRefused(t *testing.T) {
	for _, ifname := range []string{"", "sixteen-bytes-xx"} {
		var b buffer
		err := b.daemon(cmdNewDaemon, ipvsctl.SyncDaemon{Role: ipvsctl.SyncMaster, Interface: ifname}, true)
		if !errors.Is(err, ipvsctl.ErrInvalid) || len(b) != 0 {
			t.Errorf("encoding a daemon on %q = %v with %d bytes, want %v and none", ifname, err, len(b), ipvsctl.ErrInvalid)
		}
	}
}

func TestDaemonsOutOfRangeAreNotTruncated(t *testing.T) {
	var b buffer
	b.header(cmdNewDaemon)
	end := b.nest(attrDaemon)
	b.u32(daemonID, 256)
	end()
	if _, err := decodeDaemon(b); err == nil || !strings.Contains(err.Error(), "256 is above 255") {
		t.Errorf("decoding id 256 = %v, want an error", err)
	}
}

// FuzzDecodeDaemon: whatever comes is a daemon or an error, and what can be
// encoded decodes to the same.
func FuzzDecodeDaemon(f *testing.F) {
	for _, d := range []ipvsctl.SyncDaemon{
		{Role: ipvsctl.SyncMaster, Interface: "eth1", ID: 51},
		{Role: ipvsctl.SyncBackup, Interface: "e", Group: netip.MustParseAddr("ff02::81"), Port: 1, TTL: 255, MaxLen: 65507},
	} {
		var b buffer
		if err := b.daemon(cmdNewDaemon, d, true); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		d, err := decodeDaemon(message)
		if err != nil || d.Group.IsValid() && d.Group.Is4In6() || strings.ContainsRune(d.Interface, 0) {
			return
		}
		var b buffer
		if b.daemon(cmdNewDaemon, d, true) != nil {
			return
		}
		again, err := decodeDaemon(b)
		if err != nil || again != d.Canonical() {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
	})
}
