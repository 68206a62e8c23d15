package doctor

import (
	"fmt"
	"slices"

	"github.com/haldir-lb/haldir/internal/netif"
	"github.com/haldir-lb/haldir/ipvsctl"
)

// kernelKinds are about what the kernel offers and how IPVS is set.
var kernelKinds = []Kind{
	{"module-missing", Fault, "the kernel cannot do what the configuration asks of this host"},
	{"scheduler-missing", Fault, "the kernel refuses the services with this scheduler"},
	{"expire-nodest", Warning, "connections to a real server that was taken out hang until the client gives up"},
	{"expire-quiescent", Warning, "persistent clients stay with a real server whose weight is 0"},
	{"conn-reuse", Warning, "a client that uses a port again is sent to its old real server, even one of weight 0"},
	{"conntrack-full", Warning, "the kernel drops new connections when the table of tracked ones is full"},
}

func (p *patient) kernel() {
	p.modules()
	p.ipvsSysctls()
	p.conntrack()
}

// Modules are the kernel modules that the configuration needs on this host.
func Modules(in Input) []string {
	needs := newPatient(in).modulesFor()
	names := make([]string, len(needs))
	for i, n := range needs {
		names[i] = n.module
	}
	return names
}

// need is a kernel module and what needs it first.
type need struct{ module, id, of string }

func (p *patient) modulesFor() []need {
	var needs []need
	add := func(module, id, of string) {
		if !slices.ContainsFunc(needs, func(n need) bool { return n.module == module }) {
			needs = append(needs, need{module, id, of})
		}
	}
	for _, s := range p.served() {
		add("ip_vs", "module-missing", "a director with services")
		add("ip_vs_"+s.Scheduler, "scheduler-missing", "scheduler "+s.Scheduler+" of service "+s.Name)
		if engine := s.Attributes.PersistenceEngine; engine != "" {
			add("ip_vs_pe_"+engine, "module-missing", "persistence_engine "+engine+" of service "+s.Name)
		}
	}
	for _, d := range p.duties {
		if d.service.Forward != "tun" {
			continue
		}
		for _, at := range d.endpoints() {
			name, _ := d.wrapped(at.Addr())
			add(devices[name].module, "module-missing", "TUN service "+d.service.Name)
		}
		if d.service.Attributes.Tunnel.Type == "gue" {
			add("fou", "module-missing", "TUN service "+d.service.Name)
		}
	}
	return needs
}

func (p *patient) modules() {
	for _, n := range p.modulesFor() {
		if p.Host.Modules[n.module] != netif.ModuleAbsent || n.module == "ip_vs" && p.Host.HasIPVS {
			continue
		}
		p.found(n.id, fmt.Sprintf("%s is neither loaded, built in nor among the modules of kernel %s", n.module, p.Host.Kernel),
			"install the package with this kernel's modules (some distributions have linux-modules-extra), or another kernel; then modprobe "+n.module,
			"this kernel has no module %s, and %s needs it", n.module, n.of)
	}
}

func (p *patient) ipvsSysctls() {
	if !p.active() || len(p.Host.Table) == 0 {
		return
	}
	if v, ok := p.Host.Number("net/ipv4/vs/expire_nodest_conn"); ok && v == 0 {
		p.found("expire-nodest", "net.ipv4.vs.expire_nodest_conn = 0", "sysctl -w net.ipv4.vs.expire_nodest_conn=1",
			"connections to real servers that are gone do not end")
	}
	if v, ok := p.Host.Number("net/ipv4/vs/conn_reuse_mode"); ok && v == 0 {
		p.found("conn-reuse", "net.ipv4.vs.conn_reuse_mode = 0", "sysctl -w net.ipv4.vs.conn_reuse_mode=1",
			"a port that is used again keeps its old real server")
	}
	persistent := false
	for _, s := range p.Host.Table {
		persistent = persistent || s.Persistence > 0
	}
	if v, ok := p.Host.Number("net/ipv4/vs/expire_quiescent_template"); ok && v == 0 && persistent {
		p.found("expire-quiescent", "net.ipv4.vs.expire_quiescent_template = 0", "sysctl -w net.ipv4.vs.expire_quiescent_template=1",
			"persistence outlasts a real server's weight")
	}
}

// fullPercent is when the table of tracked connections is nearly full.
const fullPercent = 80

func (p *patient) conntrack() {
	count, ok := p.Host.Number("net/netfilter/nf_conntrack_count")
	limit, okLimit := p.Host.Number("net/netfilter/nf_conntrack_max")
	tracks := p.forwards(ipvsctl.NAT, true) || p.forwards(ipvsctl.NAT, false) || len(p.duties) > 0 || len(p.routers) > 0
	if !ok || !okLimit || limit <= 0 || !tracks || count < limit*fullPercent/100 {
		return
	}
	p.found("conntrack-full", fmt.Sprintf("net.netfilter.nf_conntrack_count = %d of nf_conntrack_max = %d", count, limit),
		fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, or track nothing of the services (nft notrack)", 4*limit),
		"the kernel tracks %d connections, %d %% of what it may", count, count*100/limit)
}
