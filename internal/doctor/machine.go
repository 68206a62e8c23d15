package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// machineKinds are about the machine, and about programs that undo what others set.
var machineKinds = []Kind{
	{"scheduler-late", Warning, "adverts leave late and are judged late: a backup may take over from a master that lives"},
	{"clock-unsynchronised", Note, "times in the logs of the two directors cannot be compared; certificates may be judged by the wrong date"},
	{"networkd-drops", Warning, "when systemd-networkd starts anew, it takes away addresses that are not in its files"},
	{"networkmanager-drops", Warning, "when NetworkManager activates the interface anew, it takes away addresses that are not in its profile"},
	{"other-director", Warning, "two programs write the same addresses and the same IPVS table: whoever writes last wins"},
}

func (p *patient) machine() {
	p.time()
	p.managers()
	p.rivals()
}

func (p *patient) time() {
	if p.Segment == nil {
		return
	}
	shortest := time.Duration(0)
	for _, v := range p.routers {
		if shortest == 0 || v.Interval < shortest {
			shortest = v.Interval
		}
	}
	if late := p.Segment.Late; shortest > 0 && late >= shortest {
		p.found("scheduler-late", fmt.Sprintf("within %s a sleep of 1ms ended %s too late; adverts are due every %s",
			p.Segment.Listened, late.Round(time.Millisecond/10), shortest),
			"find out what holds the processors (top; steal time of a hypervisor in vmstat 1), let haldir have real-time priority, or raise interval",
			"this machine runs processes late by more than an interval")
	}
	if c := p.Segment.Clock; c != nil && !c.Synchronised && len(p.routers)+len(p.duties) > 0 {
		p.found("clock-unsynchronised", "the kernel says that its clock is not synchronised (adjtimex: STA_UNSYNC)",
			"timedatectl set-ntp true, or run chrony or another NTP client", "the clock is not synchronised")
	}
}

// keeps are the values of KeepConfiguration= that leave foreign addresses alone.
var keeps = []string{"yes", "true", "1", "on", "static"}

func (p *patient) managers() {
	var names []string
	for _, v := range p.routers {
		if !slices.Contains(names, v.Interface) {
			names = append(names, v.Interface)
		}
	}
	for _, name := range names {
		if keep, managed := p.Host.Managers.Networkd[name]; managed && !slices.Contains(keeps, strings.ToLower(keep)) {
			p.found("networkd-drops", fmt.Sprintf("systemd-networkd has configured %s, with KeepConfiguration=%s", name, keep),
				fmt.Sprintf("KeepConfiguration=static in [Network] of the file that networkctl status %s names, then networkctl reload", name), "systemd-networkd manages %s, which gets virtual addresses", name)
		}
		if slices.Contains(p.Host.Managers.NetworkManager, name) {
			p.found("networkmanager-drops", "NetworkManager says that it manages "+name,
				fmt.Sprintf("nmcli device set %s managed no; and for good unmanaged-devices=interface-name:%s in [keyfile] of NetworkManager.conf", name, name),
				"NetworkManager manages %s, which gets virtual addresses", name)
		}
	}
}

// rivals looks for other programs that do what a director does.
func (p *patient) rivals() {
	if len(p.routers) == 0 || len(p.Host.Rivals) == 0 {
		return
	}
	p.found("other-director", "in this network namespace run "+strings.Join(p.Host.Rivals, ", "),
		"systemctl disable --now "+p.Host.Rivals[0]+", or leave its part of the work to it and take it out of haldir's configuration",
		"%s runs on this director too", strings.Join(p.Host.Rivals, ", "))
}
