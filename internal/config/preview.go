package config

import (
	"cmp"
	"slices"
	"time"
)

// Preview is what the timers of one virtual router promise, with every link up
// and every node alive.
type Preview struct {
	VRRP     string
	Interval time.Duration
	Preempt  bool
	// Nodes are sorted by falling priority. Where one number serves all nodes and
	// no other table names them, there is a single entry without a name.
	Nodes []NodePreview
	// Winner is the node that becomes and stays master, with Preempt off unless
	// another is master already. Empty: the higher source address decides.
	Winner string
}

// NodePreview is the part of one node.
type NodePreview struct {
	Node     string
	Priority uint8
	// Skew is ((256 - priority) * interval) / 256 (RFC 9568, section 6.1); in
	// version 2 (256 - priority) / 256 seconds (RFC 3768, section 6.1).
	Skew time.Duration
	// MasterDown is 3 * interval + Skew: the silence after which this node, as
	// backup, takes over.
	MasterDown time.Duration
	// Taker takes over if this node is master and fails. Empty with Takes set:
	// several nodes have the same priority, the higher source address decides.
	Taker string
	// Takes says whether anybody takes over.
	Takes bool
	// Crash is the longest time without a master if this node, as master, falls
	// silent: MasterDown of the taker.
	Crash time.Duration
	// Planned is the time from its priority-0 advert to the taker's first one:
	// Skew of the taker. The leaving master goes on answering meanwhile.
	Planned time.Duration
	// Stakes is what trackers can do to the priority.
	Stakes Stakes
}

// Preview computes the timing of every virtual router, in the order of c.VRRP.
func (c *Config) Preview() []Preview {
	previews := make([]Preview, len(c.VRRP))
	for i, v := range c.VRRP {
		previews[i] = preview(v, c.Nodes())
		for j := range previews[i].Nodes {
			node := &previews[i].Nodes[j]
			node.Stakes = stakes(node.Priority, c.Trackers(v))
		}
	}
	return previews
}

func preview(v VRRP, known []string) Preview {
	p := Preview{VRRP: v.Name, Interval: v.Interval, Preempt: v.Preempt}
	for _, name := range known {
		if priority := v.Priorities.For(name); priority != 0 {
			p.Nodes = append(p.Nodes, timing(name, priority, v))
		}
	}
	if len(p.Nodes) == 0 {
		p.Nodes = []NodePreview{timing("", v.Priorities.All, v)}
	}
	slices.SortStableFunc(p.Nodes, func(a, b NodePreview) int { return cmp.Compare(b.Priority, a.Priority) })

	for i := range p.Nodes {
		node := &p.Nodes[i]
		others := slices.DeleteFunc(slices.Clone(p.Nodes), func(n NodePreview) bool { return n.Node == node.Node })
		if node.Node == "" {
			others = p.Nodes // unnamed peers of the same priority
		}
		if len(others) == 0 {
			continue
		}
		node.Takes, node.Taker = true, first(others)
		node.Crash, node.Planned = others[0].MasterDown, others[0].Skew
	}
	p.Winner = first(p.Nodes)
	return p
}

// first names the node of the highest priority, or nobody if it has an equal.
// nodes are sorted and not empty.
func first(nodes []NodePreview) string {
	if len(nodes) > 1 && nodes[0].Priority == nodes[1].Priority {
		return ""
	}
	return nodes[0].Node
}

func timing(node string, priority uint8, v VRRP) NodePreview {
	unit := v.Interval
	if v.Version == 2 {
		unit = time.Second
	}
	skew := time.Duration(256-int(priority)) * unit / 256
	return NodePreview{Node: node, Priority: priority, Skew: skew, MasterDown: 3*v.Interval + skew}
}
