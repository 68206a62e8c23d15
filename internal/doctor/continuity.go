package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// continuityKinds are about connections that outlive a director.
var continuityKinds = []Kind{
	{"sync-daemon", Fault, "the directors do not learn each other's connections: they break when the other one takes over"},
	{"sloppy-off", Fault, "after a failover the other director drops packets in the middle of a connection, although it would choose the same real server"},
}

func (p *patient) continuity() {
	if !p.active() {
		return
	}
	p.syncDaemons()
	p.sloppy()
}

// syncDaemons compares the kernel's daemons with the configuration.
func (p *patient) syncDaemons() {
	want := p.Config.Sync
	if want == nil || p.Host.SyncDaemons == nil || p.Status == nil && len(p.Host.SyncDaemons) == 0 {
		return
	}
	at := func(ifname string, id uint8, group netip.Addr, port uint16) string {
		return fmt.Sprintf("interface %s, id %d, group %s, port %d", ifname, id, group, port)
	}
	configured := at(want.Interface, want.ID, want.Group, want.Port)
	for _, role := range []ipvsctl.SyncRole{ipvsctl.SyncMaster, ipvsctl.SyncBackup} {
		i := slices.IndexFunc(p.Host.SyncDaemons, func(d ipvsctl.SyncDaemon) bool { return d.Role == role })
		is := "does not run"
		if i >= 0 {
			d := p.Host.SyncDaemons[i].Canonical()
			if is = "has " + at(d.Interface, d.ID, d.Group, d.Port); is == "has "+configured {
				continue
			}
		}
		p.found("sync-daemon", fmt.Sprintf("the %s daemon %s; the configuration says %s", role, is, configured),
			fmt.Sprintf("ipvsadm --stop-daemon %s, then systemctl reload haldir, which starts it as configured", role),
			"the kernel does not synchronise connections as configured")
	}
}

// sloppy looks at whether packets in the middle of unknown connections are
// scheduled, as stateless services need it.
func (p *patient) sloppy() {
	for _, protocol := range []string{"tcp", "sctp"} {
		i := slices.IndexFunc(p.served(), func(s config.Service) bool { return s.Stateless && s.Protocol == protocol })
		path := "net.ipv4.vs.sloppy_" + protocol
		if v, ok := p.Host.Number("net/ipv4/vs/sloppy_" + protocol); ok && v == 0 && i >= 0 {
			p.found("sloppy-off", path+" = 0", "sysctl -w "+path+"=1",
				"service %s is stateless, and the kernel schedules first packets alone", p.served()[i].Name)
		}
	}
}
