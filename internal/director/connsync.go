package director

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/haldir-lb/haldir/internal/config"
	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/internal/statefile"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// SyncDaemons derives the kernel's synchronisation daemons of this node. Both run
// whatever the roles are: a takeover then has nothing to start, and a node that
// is master of one router and backup of another sends and listens.
func SyncDaemons(cfg *config.Config) []ipvsctl.SyncDaemon {
	s := cfg.Sync
	if s == nil || !slices.ContainsFunc(cfg.VRRP, func(v config.VRRP) bool { return v.Priority != 0 }) {
		return nil
	}
	var out []ipvsctl.SyncDaemon
	for _, role := range []ipvsctl.SyncRole{ipvsctl.SyncMaster, ipvsctl.SyncBackup} {
		d := ipvsctl.SyncDaemon{Role: role, Interface: s.Interface, ID: s.ID, Group: s.Group, Port: s.Port, TTL: s.TTL}
		out = append(out, d.Canonical())
	}
	return out
}

// syncFlush is how long the kernel may keep news of a connection before it tells
// them (IPVS_SYNC_FLUSH_TIME is 2 s), and a little.
const syncFlush = 2500 * time.Millisecond

// syncDaemons are those that shall run now.
func (d *Director) syncDaemons() []ipvsctl.SyncDaemon {
	if d.finished {
		return nil
	}
	return SyncDaemons(d.config)
}

// connectionSysctls derives what the continuity of connections needs of the
// kernel.
func connectionSysctls(cfg *config.Config) []netif.Sysctl {
	var out []netif.Sysctl
	set := func(name, value string) {
		out = append(out, netif.Sysctl{Path: "net/ipv4/vs/" + name, Value: value})
	}
	if s := cfg.Sync; s != nil && len(SyncDaemons(cfg)) > 0 {
		set("sync_version", "1")
		// By time and not by the number of packets: each connection is told as soon
		// as it is established, and one with little traffic as often as others.
		set("sync_threshold", "0 0")
		set("sync_refresh_period", strconv.Itoa(int(s.Refresh/time.Second)))
		set("sync_retries", strconv.Itoa(int(s.Retries)))
		if s.Queue != 0 {
			set("sync_qlen_max", strconv.Itoa(int(s.Queue)))
		}
	}
	// A packet in the middle of a connection that this node has never seen shall
	// be scheduled like the first one.
	for _, protocol := range []string{"tcp", "sctp"} {
		if slices.ContainsFunc(cfg.Services, func(s config.Service) bool { return s.Stateless && s.Protocol == protocol }) {
			set("sloppy_"+protocol, "1")
		}
	}
	return out
}

// syncRecord knows which synchronisation daemons are ours even if the
// configuration no longer has them.
type syncRecord struct {
	path    string
	current []ipvsctl.SyncDaemon
}

func openSyncRecord(runDir string) (*syncRecord, error) {
	r := &syncRecord{path: filepath.Join(runDir, "connection-sync.json")}
	return r, statefile.Load(r.path, &r.current)
}

// owns reports whether a daemon that runs is one of the recorded ones.
func (r *syncRecord) owns(d ipvsctl.SyncDaemon) bool {
	return slices.ContainsFunc(r.current, d.Same)
}

// keep forgets all but the given daemons.
func (r *syncRecord) keep(daemons []ipvsctl.SyncDaemon) error {
	if slices.Equal(daemons, r.current) {
		return nil
	}
	err := statefile.Remove(r.path)
	if len(daemons) > 0 {
		err = statefile.Save(r.path, daemons)
	}
	if err == nil {
		r.current = daemons
	}
	return err
}

// setSync has the host's synchronisation daemons made as desired. They are
// written down before they are started.
func (a *applier) setSync(ctx context.Context, desired []ipvsctl.SyncDaemon) (ipvsctl.SyncResult, error) {
	if len(desired) == 0 && len(a.syncs.current) == 0 {
		return ipvsctl.SyncResult{}, nil
	}
	both := slices.Clone(a.syncs.current)
	for _, d := range desired {
		if !slices.ContainsFunc(both, d.Same) {
			both = append(both, d)
		}
	}
	unrecorded := a.syncs.keep(both)
	result, err := a.host.SetSync(ctx, desired, a.syncs.owns)
	for _, change := range result.Changes {
		a.log.Info("connection sync", "op", change)
	}
	if err == nil && unrecorded == nil && len(result.Failed) == 0 {
		err = a.syncs.keep(desired)
	}
	return result, errors.Join(unrecorded, err)
}
