package config

import "time"

// Timeouts are how long the kernel keeps connections without packets, whole
// seconds up to 31 days; 0 leaves what the kernel has.
type Timeouts struct{ TCP, TCPFin, UDP time.Duration }

func timeoutKeys() []string { return []string{"tcp", "tcp_fin", "udp"} }

// timeoutOfConnections has the bounds of ipvsadm.
func timeoutOfConnections() span {
	return span{low: time.Second, high: 31 * 24 * time.Hour, step: time.Second, zero: "the kernel's own"}
}

// decodeIPVS reads [ipvs].
func (l *loader) decodeIPVS(t *table) {
	c, present, ok := t.child("timeouts")
	if !present || !ok {
		return
	}
	read := func(key string) time.Duration { return c.duration(key, timeoutOfConnections()).or(0) }
	l.timeouts = Timeouts{TCP: read("tcp"), TCPFin: read("tcp_fin"), UDP: read("udp")}
	c.finish()
}

type canonicalIPVS struct {
	Timeouts map[string]string `toml:"timeouts"`
}

func canonicalIPVSOf(t Timeouts) *canonicalIPVS {
	if t == (Timeouts{}) {
		return nil
	}
	return &canonicalIPVS{map[string]string{"tcp": plain(t.TCP), "tcp_fin": plain(t.TCPFin), "udp": plain(t.UDP)}}
}
