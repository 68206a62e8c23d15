package ipvsnl

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/ipvsctl"
	"github.com/haldir-lb/haldir/ipvsctl/ipvstest"
)

func TestVerdictsSayWhatTheKernelMeans(t *testing.T) {
	service := ipvstest.Pools(1, 1)[0]
	sip := service
	sip.Persistence, sip.Engine = time.Minute, "sip"
	op := func(kind ipvsctl.OpKind, s ipvsctl.Service, change func(*ipvsctl.Dest)) *ipvsctl.Op {
		d := s.Dests[0]
		if change != nil {
			change(&d)
		}
		return &ipvsctl.Op{Kind: kind, Service: s, Dest: d}
	}
	six := func(d *ipvsctl.Dest) { d.Key.Address = ipvstest.Everything()[6].Dests[0].Key.Address }
	for want, c := range map[string]struct {
		op      *ipvsctl.Op
		errno   unix.Errno
		gone    bool
		meaning error
	}{
		"exists already (EEXIST)":      {op(ipvsctl.AddDest, service, nil), unix.EEXIST, false, ipvsctl.ErrExist},
		"no such service (ESRCH)":      {op(ipvsctl.AddDest, service, nil), unix.ESRCH, false, ipvsctl.ErrNoService},
		"no such destination (ENOENT)": {op(ipvsctl.UpdateDest, service, nil), unix.ENOENT, false, ipvsctl.ErrNoDest},
		`no such scheduler or persistence engine (ENOENT): scheduler "wrr" (module ip_vs_wrr)`:                                                   {op(ipvsctl.AddService, service, nil), unix.ENOENT, false, ipvsctl.ErrNoModule},
		`no such scheduler or persistence engine (ENOENT): scheduler "wrr" (module ip_vs_wrr) or persistence engine "sip" (module ip_vs_pe_sip)`: {op(ipvsctl.UpdateService, sip, nil), unix.ENOENT, false, ipvsctl.ErrNoModule},
		"ipvs is not available in this kernel (ENOENT): the module was unloaded meanwhile":                                                       {op(ipvsctl.UpdateService, service, nil), unix.ENOENT, true, ipvsctl.ErrUnavailable},
		"ipvs is not available in this kernel (ENOPROTOOPT): the module is being unloaded":                                                       {op(ipvsctl.AddService, service, nil), unix.ENOPROTOOPT, false, ipvsctl.ErrUnavailable},
		"value out of range (ERANGE): weight 1, thresholds 5 and 6":                                                                              {op(ipvsctl.AddDest, service, func(d *ipvsctl.Dest) { d.Upper, d.Lower = 5, 6 }), unix.ERANGE, false, ipvsctl.ErrRange},
		"refused as invalid (EINVAL): an ipv6 destination in an ipv4 service works by tunnel only, and not while the sync daemon runs":           {op(ipvsctl.AddDest, service, six), unix.EINVAL, false, ipvsctl.ErrInvalid},
		"refused as invalid (EINVAL): tunnel type gue needs a port":                                                                              {op(ipvsctl.AddDest, service, func(d *ipvsctl.Dest) { d.Tunnel.Type = ipvsctl.GUE }), unix.EINVAL, false, ipvsctl.ErrInvalid},
		"refused as invalid (EINVAL): address 198.51.100.1 must be unicast":                                                                      {op(ipvsctl.AddDest, service, nil), unix.EINVAL, false, ipvsctl.ErrInvalid},
		"refused as invalid (EINVAL)": {op(ipvsctl.AddService, service, nil), unix.EINVAL, false, ipvsctl.ErrInvalid},
		"refused as invalid (EAFNOSUPPORT): this kernel does not balance this address family": {op(ipvsctl.AddService, service, nil), unix.EAFNOSUPPORT, false, ipvsctl.ErrInvalid},
		"operation not permitted (EPERM): CAP_NET_ADMIN is needed, even to read":              {op(ipvsctl.AddService, service, nil), unix.EPERM, false, fs.ErrPermission},
		"netlink receive: cannot allocate memory":                                             {op(ipvsctl.AddService, service, nil), unix.ENOMEM, false, unix.ENOMEM},
	} {
		err := verdict(c.op, &netlink.OpError{Op: "receive", Err: c.errno, Sequence: 1}, c.gone)
		if err.Error() != want || !errors.Is(err, c.meaning) || !errors.Is(err, c.errno) {
			t.Errorf("%v, %v:\n got %v\nwant %s", c.op, c.errno, err, want)
		}
	}
}

func TestTheKernelsOwnTextIsKept(t *testing.T) {
	op := ipvsctl.Op{Kind: ipvsctl.DeleteService, Service: ipvstest.Pools(1, 0)[0]}
	err := verdict(&op, &netlink.OpError{Op: "receive", Err: unix.EINVAL, Sequence: 1, Message: "unknown attribute"}, false)
	if want := "refused as invalid (EINVAL): the kernel says unknown attribute"; err.Error() != want {
		t.Errorf("verdict = %v, want %s", err, want)
	}
}

func TestReadingWithoutTheCapability(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	k.tamper(func(answers [][]byte) ([][]byte, error) {
		for _, a := range answers {
			turnIntoVerdict(a, unix.EPERM)
		}
		return answers[:1], nil
	})
	want := "listing the services: operation not permitted (EPERM): CAP_NET_ADMIN is needed, even to read"
	if _, err := h.Read(t.Context()); !errors.Is(err, fs.ErrPermission) || err.Error() != want {
		t.Errorf("Read = %v, want %s", err, want)
	}
}

func TestTruncatedDumpsChangeNothing(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	table := ipvstest.Pools(3, 1)
	if errs := h.Apply(t.Context(), ipvsctl.Plan(table, nil, nil)); errs != nil {
		t.Fatal(errors.Join(errs...))
	}
	k.tamper(func(answers [][]byte) ([][]byte, error) {
		// The nested attribute of the first answer claims more than there is.
		answers[0][unix.NLMSG_HDRLEN+genlHeaderLength]++
		return answers, nil
	})
	_, err := ipvsctl.NewReconciler(h).Reconcile(t.Context(), nil, func(ipvsctl.ServiceKey) bool { return true })
	if !errors.Is(err, errTruncated) {
		t.Errorf("Reconcile = %v, want %v", err, errTruncated)
	}
	k.tamper(nil)
	if live, err := h.Read(t.Context()); err != nil || len(live) != 3 {
		t.Errorf("Read = %d services, %v, want all 3: nothing may be decided on half an answer", len(live), err)
	}
}

func TestAnAnswerToSomethingElseIsNotTaken(t *testing.T) {
	k := newSimKernel()
	h := openSim(t, k)
	k.tamper(func(answers [][]byte) ([][]byte, error) {
		for _, a := range answers {
			a[8] += 100 // the sequence number
		}
		return answers, nil
	})
	errs := h.Apply(t.Context(), ipvsctl.Plan(ipvstest.Pools(1, 0), nil, nil))
	if len(errs) != 1 || !errors.Is(errs[0], ipvsctl.ErrOutcomeUnknown) {
		t.Errorf("Apply = %v, want %v", errs, ipvsctl.ErrOutcomeUnknown)
	}
	if _, err := h.Read(t.Context()); err == nil {
		t.Error("Read took the answer to another request")
	}
	k.tamper(nil)
	if live, err := h.Read(t.Context()); err != nil || len(live) != 1 {
		t.Errorf("Read = %v, %v, want the one service", live, err)
	}
}
