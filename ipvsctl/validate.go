package ipvsctl

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	maxNameLen     = 15
	maxPersistence = 31 * 24 * time.Hour
)

// Validate reports everything in the table that the kernel would refuse, or
// accept without effect, each with the object it is in, joined in the order of
// the table.
func (t Table) Validate() error {
	var errs []error
	seen := make(map[ServiceKey]bool, len(t))
	for _, s := range t {
		s = s.canonical()
		add := func(err error) {
			if err != nil {
				errs = append(errs, fmt.Errorf("service %v: %w", s.Key, err))
			}
		}
		if seen[s.Key] {
			add(errors.New("is in the table twice"))
		}
		seen[s.Key] = true
		add(s.Key.validate())
		for _, check := range serviceChecks {
			add(check(&s))
		}
		dests := make(map[DestKey]bool, len(s.Dests))
		for i := range s.Dests {
			d := &s.Dests[i]
			for _, err := range d.validate(s.Key, dests[d.Key]) {
				add(fmt.Errorf("destination %v: %w", d.Key, err))
			}
			dests[d.Key] = true
		}
	}
	return errors.Join(errs...)
}

func (k ServiceKey) validate() error {
	if k.FWMark != 0 {
		if k.Protocol != 0 || k.Address.IsValid() || k.Port != 0 {
			return errors.New("has both a firewall mark and a protocol, an address or a port")
		}
		if k.Family != IPv4 && k.Family != IPv6 {
			return errors.New("a firewall mark needs the family ipv4 or ipv6")
		}
		return nil
	}
	if k.Family != 0 {
		return errors.New("states a family, which only a firewall mark needs")
	}
	if k.Protocol != TCP && k.Protocol != UDP && k.Protocol != SCTP {
		return fmt.Errorf("%v is not one of tcp, udp, sctp", k.Protocol)
	}
	return unicast(k.Address)
}

func unicast(a netip.Addr) error {
	switch {
	case !a.IsValid():
		return errors.New("has no address")
	case a.Zone() != "":
		return fmt.Errorf("address %v has a zone, which ipvs does not know", a)
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("address %v is not a unicast address", a)
	}
	return nil
}

var serviceChecks = []func(*Service) error{
	func(s *Service) error { return validateName("scheduler", s.Scheduler) },
	func(s *Service) error { return validateName("persistence engine", s.Engine) },
	(*Service).validateFlags,
	(*Service).validatePersistence,
	func(s *Service) error {
		if s.OnePacket && s.Key.FWMark == 0 && s.Key.Protocol != UDP {
			return fmt.Errorf("one-packet scheduling works with udp and firewall marks, not with %v", s.Key.Protocol)
		}
		return nil
	},
	func(s *Service) error {
		if s.Key.FWMark == 0 && s.Key.Port == 0 && s.Persistence == 0 {
			return errors.New("port 0, which stands for every port, needs persistence")
		}
		return nil
	},
}

// validateName keeps names to what a kernel module can be called.
func validateName(what, name string) error {
	if len(name) > maxNameLen {
		return fmt.Errorf("%s %q is longer than %d bytes", what, name, maxNameLen)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return fmt.Errorf("%s %q may contain only a-z, 0-9, _ and -", what, name)
		}
	}
	return nil
}

// flagless are the kernel's schedulers to which flags mean nothing.
var flagless = map[string]bool{
	"rr": true, "wrr": true, "lc": true, "wlc": true, "lblc": true, "lblcr": true, "dh": true,
	"sed": true, "nq": true, "fo": true, "ovf": true, "twos": true, "none": true,
}

func (s *Service) validateFlags() error {
	if known := SchedFlag1 | SchedFlag2 | SchedFlag3; s.Flags&^known != 0 {
		return fmt.Errorf("scheduler flags %q are unknown to the kernel", (s.Flags &^ known).String())
	}
	if s.Flags != 0 && flagless[s.Scheduler] {
		return fmt.Errorf("scheduler %s has no flags, so %q would have no effect", s.Scheduler, s.Flags)
	}
	return nil
}

func (s *Service) validatePersistence() error {
	if s.Persistence == 0 {
		if s.Engine != "" {
			return fmt.Errorf("persistence engine %q needs persistence", s.Engine)
		}
		return nil
	}
	if s.Persistence < time.Second || s.Persistence > maxPersistence || s.Persistence%time.Second != 0 {
		return fmt.Errorf("persistence %v is not a number of whole seconds from 1s to 31 days", s.Persistence)
	}
	if most := hostPrefix(s.Key.AddressFamily()); s.PersistencePrefix > most {
		return fmt.Errorf("persistence prefix %d is longer than %d", s.PersistencePrefix, most)
	}
	return nil
}

func (d *Dest) validate(service ServiceKey, duplicate bool) []error {
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(duplicate, "is in the service twice")
	if err := unicast(d.Key.Address); err != nil {
		errs = append(errs, err)
	}
	refuse(d.Key.Address.Is6() && d.Key.Address.IsLinkLocalUnicast(),
		"a link-local address has no interface here, so ipvs cannot reach it")
	refuse(d.Forward > Local, "%v is not one of dr, tun, nat, local", d.Forward)
	refuse(d.Weight > MaxWeight, "weight %d is above %d", d.Weight, MaxWeight)
	refuse(d.Lower > d.Upper, "lower threshold %d is above the upper threshold %d", d.Lower, d.Upper)
	family, own := service.AddressFamily(), FamilyOf(d.Key.Address)
	refuse(d.Forward != TUN && family != 0 && own != 0 && own != family,
		"an %v destination in an %v service needs forwarding by tunnel, not %v", own, family, d.Forward)
	refuse(d.Forward != NAT && d.Key.Port != service.Port,
		"forwarding by %v keeps the packet's port, so the destination's cannot be other than %d", d.Forward, service.Port)
	return append(errs, d.validateTunnel()...)
}

func (d *Dest) validateTunnel() []error {
	t := d.Tunnel
	if d.Forward != TUN {
		if t != (Tunnel{}) {
			return []error{fmt.Errorf("tunnel options have no effect with forwarding by %v", d.Forward)}
		}
		return nil
	}
	if t.Type > GRE {
		return []error{fmt.Errorf("%v is not one of ipip, gue, gre", t.Type)}
	}
	var errs []error
	if t.Type == GUE && t.Port == 0 {
		errs = append(errs, errors.New("tunnel type gue needs a port"))
	}
	if t.Type != GUE && t.Port != 0 {
		errs = append(errs, fmt.Errorf("tunnel type %v has no port", t.Type))
	}
	allowed := map[TunnelType]TunnelFlags{GUE: TunnelChecksum | TunnelRemoteChecksum, GRE: TunnelChecksum}[t.Type]
	if t.Flags&^allowed != 0 {
		errs = append(errs, fmt.Errorf("tunnel type %v does not have the flags %#x", t.Type, uint16(t.Flags&^allowed)))
	}
	if t.Flags&TunnelChecksum != 0 && t.Flags&TunnelRemoteChecksum != 0 {
		errs = append(errs, errors.New("tunnel checksums are either local or remote, not both"))
	}
	return errs
}
