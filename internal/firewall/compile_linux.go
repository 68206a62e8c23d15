package firewall

import (
	"bytes"
	"encoding/binary"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

// compiler turns the expressions of one table into rules.
type compiler struct {
	chains   map[string]*chain
	sets     map[string]*set
	tracking bool
}

// machine is the state of one rule that is being executed.
type machine struct {
	packet *Packet
	registers
	action action
	remark *remark
}

// step is one expression: whether the packet goes on.
type step func(*machine) truth

func (c *compiler) rule(label string, exprs []expr.Any) rule {
	steps := make([]step, len(exprs))
	for i, e := range exprs {
		steps[i] = c.step(e)
	}
	return rule{label, func(p *Packet) (truth, action) {
		m := machine{packet: p}
		matches := yes
		for _, s := range steps {
			if matches = matches.and(s(&m)); matches == no {
				return no, action{}
			}
		}
		m.action.remark = m.remark
		return matches, m.action
	}}
}

func passes(*machine) truth    { return yes }
func uncertain(*machine) truth { return maybe }

func (c *compiler) step(e expr.Any) step {
	switch e := e.(type) {
	case *expr.Meta:
		return func(m *machine) truth {
			switch {
			case !e.SourceRegister:
				m.load(e.Register, m.packet.meta(e.Key))
			case e.Key == expr.MetaKeyMARK:
				m.remark = m.marking(e.Register)
			}
			return yes
		}
	case *expr.Payload:
		return payload(e)
	case *expr.Ct:
		c.tracking = c.tracking || e.Key == expr.CtKeySTATE
		return func(m *machine) truth {
			if !e.SourceRegister {
				m.load(e.Register, m.packet.tracked(e.Key))
			}
			return yes
		}
	case *expr.Cmp:
		return func(m *machine) truth {
			value, ok := m.read(e.Register, len(e.Data))
			if !ok {
				return maybe
			}
			return truthOf(compares(e.Op, bytes.Compare(value, e.Data)))
		}
	case *expr.Range:
		return func(m *machine) truth {
			value, ok := m.read(e.Register, len(e.FromData))
			if !ok {
				return maybe
			}
			inside := bytes.Compare(value, e.FromData) >= 0 && bytes.Compare(value, e.ToData) <= 0
			return truthOf(inside == (e.Op == expr.CmpOpEq))
		}
	case *expr.Bitwise:
		return bitwise(e)
	case *expr.Lookup:
		return c.lookup(e)
	case *expr.Immediate:
		return func(m *machine) truth { m.load(e.Register, e.Data); return yes }
	case *expr.Verdict:
		return c.verdict(verdictOf(e))
	case *expr.Reject:
		return c.verdict(verdict{kind: drop})
	case *expr.Counter, *expr.Log, *expr.Notrack, *expr.NAT, *expr.Masq, *expr.Redir:
		return passes
	case *expr.Match:
		return c.match(e)
	case *expr.Target:
		return c.target(e)
	}
	return uncertain // what may be matched or loaded here is not known
}

func compares(op expr.CmpOp, order int) bool {
	switch op {
	case expr.CmpOpEq:
		return order == 0
	case expr.CmpOpNeq:
		return order != 0
	case expr.CmpOpLt:
		return order < 0
	case expr.CmpOpLte:
		return order <= 0
	case expr.CmpOpGt:
		return order > 0
	}
	return order >= 0
}

// meta returns what is known of a packet besides its bytes; nil is nothing.
func (p *Packet) meta(key expr.MetaKey) []byte {
	switch key {
	case expr.MetaKeyL4PROTO:
		if p.ARP {
			return nil
		}
		return []byte{p.Protocol}
	case expr.MetaKeyPROTOCOL:
		return binary.BigEndian.AppendUint16(nil, p.etherType())
	case expr.MetaKeyNFPROTO:
		switch p.etherType() {
		case etherIPv4:
			return []byte{unix.NFPROTO_IPV4}
		case etherARP:
			return []byte{unix.NFPROTO_ARP}
		}
		return []byte{unix.NFPROTO_IPV6}
	case expr.MetaKeyIIFNAME:
		return name(p.In)
	case expr.MetaKeyOIFNAME:
		return name(p.Out)
	case expr.MetaKeyMARK:
		if p.mark.Unclear {
			return nil
		}
		return binary.NativeEndian.AppendUint32(nil, p.mark.Value)
	}
	return nil
}

// name is an interface's name as the kernel keeps it.
func name(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

func (p *Packet) tracked(key expr.CtKey) []byte {
	if key != expr.CtKeySTATE {
		return nil
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(p.State))
}

func payload(e *expr.Payload) step {
	if e.OperationType == expr.PayloadWrite {
		return passes
	}
	return func(m *machine) truth {
		var header []byte
		switch e.Base {
		case expr.PayloadBaseNetworkHeader:
			if !m.packet.hides(int(e.Offset), int(e.Len)) {
				header = m.packet.network()
			}
		case expr.PayloadBaseTransportHeader:
			header = m.packet.transport()
		}
		if header == nil || int(e.Offset)+int(e.Len) > len(header) {
			m.load(e.DestRegister, nil)
			return yes
		}
		m.load(e.DestRegister, header[e.Offset:e.Offset+e.Len])
		return yes
	}
}

func bitwise(e *expr.Bitwise) step {
	return func(m *machine) truth {
		value, ok := m.read(e.SourceRegister, int(e.Len))
		if !ok || len(e.Mask) != len(value) || len(e.Xor) != len(value) {
			m.load(e.DestRegister, nil)
			return yes
		}
		for i := range value {
			value[i] = value[i]&e.Mask[i] ^ e.Xor[i]
		}
		m.load(e.DestRegister, value)
		return yes
	}
}

func (c *compiler) lookup(e *expr.Lookup) step {
	s := c.sets[e.SetName]
	if s == nil {
		return uncertain
	}
	return func(m *machine) truth {
		key, ok := m.read(e.SourceRegister, s.length)
		if !ok {
			return maybe
		}
		found, matches := s.find(key)
		if e.Invert {
			matches = yes - matches
		}
		if e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT && matches == yes {
			v, err := parseVerdict(found.data)
			if err != nil {
				return maybe
			}
			m.action = c.action(v)
		} else if e.IsDestRegSet {
			m.load(e.DestRegister, nil)
		}
		return matches
	}
}

func (c *compiler) action(v verdict) action { return action{kind: v.kind, target: c.chains[v.chain]} }

// marking sets the mark to the value of a register.
func (m *machine) marking(register uint32) *remark {
	value, ok := m.read(register, 4)
	if !ok {
		return &remark{unclear: true}
	}
	return &remark{mask: ^uint32(0), flip: binary.NativeEndian.Uint32(value)}
}

func (c *compiler) verdict(v verdict) step {
	return func(m *machine) truth { m.action = c.action(v); return yes }
}

// match is an extension of iptables.
func (c *compiler) match(e *expr.Match) step {
	switch info := e.Info.(type) {
	case *xt.Tcp:
		return func(m *machine) truth {
			return portsMatch(m.packet, protoTCP, info.SrcPorts, info.DstPorts, uint8(info.InvFlags), info.Option != 0 || info.FlagsMask != 0)
		}
	case *xt.Udp:
		return func(m *machine) truth {
			return portsMatch(m.packet, protoUDP, info.SrcPorts, info.DstPorts, uint8(info.InvFlags), false)
		}
	case *xt.ConntrackMtinfo3:
		c.tracking = true
		return conntrack(info.ConntrackMtinfo2)
	case *xt.ConntrackMtinfo2:
		c.tracking = true
		return conntrack(*info)
	case *xt.Comment:
		return passes
	}
	return uncertain
}

func conntrack(info xt.ConntrackMtinfo2) step {
	const state = uint16(xt.ConntrackState)
	return func(m *machine) truth {
		if info.MatchFlags != state {
			return maybe
		}
		return stateMatch(m.packet.State, info.StateMask, info.InvertFlags&state != 0)
	}
}

// target is one of iptables' targets other than a verdict.
func (c *compiler) target(e *expr.Target) step {
	switch e.Name {
	case "MARK", "CONNMARK":
		change := &remark{unclear: true}
		if info, ok := e.Info.(*xt.Unknown); ok {
			change = targetMark(e.Name, *info)
		}
		return func(m *machine) truth { m.remark = change; return yes }
	case "REJECT":
		return c.verdict(verdict{kind: drop})
	case "LOG", "NFLOG", "TCPMSS", "CT", "NOTRACK", "DSCP", "TOS", "TTL", "HL", "CHECKSUM", "CLASSIFY",
		"SNAT", "DNAT", "MASQUERADE", "REDIRECT", "TRACE", "SET":
		return passes
	}
	return uncertain
}
