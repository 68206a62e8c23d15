package lab

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// LoadSpec reads a lab from a TOML file.
func LoadSpec(path string) (Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("reading the lab: %w", err)
	}
	spec, err := ParseSpec(string(text))
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	return spec, nil
}

// ParseSpec reads a lab from TOML. What the text leaves out is as in
// DefaultSpec. All errors of one text are reported together, joined.
func ParseSpec(text string) (Spec, error) {
	var mode struct {
		Lab struct {
			Forward string `toml:"forward"`
		} `toml:"lab"`
	}
	if _, err := toml.Decode(text, &mode); err != nil {
		return Spec{}, specError(err)
	}
	spec := DefaultSpec(cmp.Or(mode.Lab.Forward, ForwardDR))
	defaults := spec.Services
	spec.Services = nil
	meta, err := toml.Decode(text, &spec)
	if err != nil {
		return Spec{}, specError(err)
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		errs = append(errs, fmt.Errorf("%s: unknown key (legal: %s)", key, legalKeys(key[0])))
	}
	if len(spec.Services) == 0 {
		spec.Services = defaults
	}
	if err := errors.Join(append(errs, spec.Validate())...); err != nil {
		return Spec{}, err
	}
	return spec, nil
}

func specError(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("line %d: %s", parse.Position.Line, parse.Message)
	}
	return err
}

func legalKeys(table string) string {
	switch table {
	case "lab":
		return "directors, real_servers, directors_serve, forward, ipv6, interval, preempt, check_every, check_fall, check_rise, check_vip, vmac, second, extra"
	case "client":
		return "udp, tcp, timeout"
	case "service":
		return "name, protocol, port, real_port, scheduler, stream, extra"
	case "step":
		return "do, node, process, for"
	}
	return "[lab], [client], [[service]], [[step]]"
}

// Validate reports everything in s that is out of its range.
func (s Spec) Validate() error {
	var errs []error
	bad := func(key string, value any, legal string) {
		errs = append(errs, fmt.Errorf("%s = %v: legal is %s", key, value, legal))
	}
	between := func(key string, n, low, high int) {
		if n < low || n > high {
			bad(key, n, fmt.Sprintf("%d to %d", low, high))
		}
	}
	span := func(key string, d Duration, low, high time.Duration) {
		if d.D() < low || d.D() > high {
			bad(key, d, fmt.Sprintf("%s to %s", low, high))
		}
	}
	between("lab.directors", s.Lab.Directors, 1, 8)
	modes := []string{ForwardDR, ForwardTUN, ForwardNAT, ForwardNone}
	if !slices.Contains(modes, s.Lab.Forward) {
		bad("lab.forward", fmt.Sprintf("%q", s.Lab.Forward), strings.Join(modes, ", "))
	}
	if s.Lab.DirectorsServe && s.Lab.Forward != ForwardDR && s.Lab.Forward != ForwardTUN {
		bad("lab.directors_serve", true, "false with forward = "+s.Lab.Forward)
	}
	switch {
	case s.Lab.Forward == ForwardNone:
		between("lab.real_servers", s.Lab.RealServers, 0, 0)
	case s.Lab.DirectorsServe:
		between("lab.real_servers", s.Lab.RealServers, 0, 32)
	default:
		between("lab.real_servers", s.Lab.RealServers, 1, 32)
	}
	span("lab.interval", s.Lab.Interval, 10*time.Millisecond, 40950*time.Millisecond)
	if s.Lab.Interval.D()%(10*time.Millisecond) != 0 {
		bad("lab.interval", s.Lab.Interval, "a multiple of 10ms")
	}
	span("lab.check_every", s.Lab.CheckEvery, 100*time.Millisecond, time.Hour)
	between("lab.check_fall", s.Lab.CheckFall, 1, 100)
	between("lab.check_rise", s.Lab.CheckRise, 1, 100)
	between("client.udp", s.Client.UDP, 0, 10000)
	between("client.tcp", s.Client.TCP, 0, 10000)
	if s.Client.UDP == 0 && s.Client.TCP == 0 {
		errs = append(errs, errors.New("client: udp and tcp are both 0: nothing would be sent"))
	}
	span("client.timeout", s.Client.Timeout, 10*time.Millisecond, time.Minute)
	errs = append(errs, s.validateServices()...)
	for i, step := range s.Steps {
		errs = append(errs, step.validate(s, i+1)...)
	}
	return errors.Join(errs...)
}

func (s Spec) validateServices() []error {
	var errs []error
	seen := map[string]bool{}
	for i, service := range s.Services {
		where := fmt.Sprintf("service %q", cmp.Or(service.Name, fmt.Sprintf("#%d", i+1)))
		bad := func(key string, value any, legal string) {
			errs = append(errs, fmt.Errorf("%s: %s = %v: legal is %s", where, key, value, legal))
		}
		if service.Name == "" || strings.ContainsAny(service.Name, "\"\\\n") {
			bad("name", fmt.Sprintf("%q", service.Name), "a name")
		}
		if service.Protocol != "udp" && service.Protocol != "tcp" {
			bad("protocol", fmt.Sprintf("%q", service.Protocol), "udp, tcp")
		}
		if service.Port == 0 {
			bad("port", 0, "1 to 65535")
		}
		if service.Stream && service.Protocol != "tcp" {
			bad("stream", true, "false, but for tcp")
		}
		if service.RealPort != 0 && service.RealPort != service.Port && s.Lab.Forward != ForwardNAT {
			bad("real_port", service.RealPort, "the port of the service; only nat maps ports")
		}
		for _, key := range []string{"name " + service.Name, fmt.Sprintf("%s port %d", service.Protocol, service.Port)} {
			if seen[key] {
				errs = append(errs, fmt.Errorf("%s: %s is taken by an earlier service", where, key))
			}
			seen[key] = true
		}
	}
	return errs
}
