package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/haldir-lb/haldir/healthcheck"
)

func readUDP(t *table) healthcheck.Spec {
	send, expect, silence := t.bytes("send"), t.bytes("expect"), t.truth("silence_passes")
	if f := send; f.good && len(f.value) > 65507 {
		t.found.add(f.place, problem{message: "longer than a datagram can be", legal: "up to 65507 bytes"})
	}
	return healthcheck.UDP{Send: send.value, Expect: expect.value, SilencePasses: silence.or(false)}
}

func readDNS(t *table) healthcheck.Spec {
	const nameLegal = `a domain name, such as "www.example.org"`
	name := t.str("name", nameLegal)
	record := t.choice("record", healthcheck.DNSRecords())
	tcp := t.truth("tcp")
	expect, _ := t.strings("expect", "what the record holds")
	if f := name; f.good && healthcheck.Encode(healthcheck.DNS{Name: f.value}).Validate("dns") != nil {
		t.found.add(f.place, problem{message: "not a domain name", legal: nameLegal})
	}
	spec := healthcheck.DNS{
		// One form of each name, for one digest.
		Name: strings.TrimSuffix(strings.ToLower(name.or("")), ".") + ".", Record: record.or("SOA"), TCP: tcp.or(false),
	}
	for _, f := range expect {
		if !f.good {
			continue
		}
		if f.value == "" {
			t.found.add(f.place, problem{message: "empty", legal: "what the record holds"})
		}
		if named := []string{"CNAME", "MX", "NS", "PTR", "SOA"}; slices.Contains(named, spec.Record) && !strings.HasSuffix(f.value, ".") {
			t.found.add(f.place, problem{message: "a name without its final dot", legal: "the whole name", suggestion: strconv.Quote(f.value + ".")})
		}
		spec.Expect = append(spec.Expect, f.value)
	}
	slices.Sort(spec.Expect)
	return spec
}

func readGRPC(t *table) healthcheck.GRPC {
	const legal = "a host name, a port may follow"
	service := t.text("service", "the name of a service")
	host := t.str("host", legal)
	if f := service; f.good && healthcheck.Encode(healthcheck.GRPC{Service: f.value}).Validate("grpc") != nil {
		t.found.add(f.place, problem{message: "too long", legal: "up to 1024 bytes"})
	}
	if f := host; f.good && healthcheck.Encode(healthcheck.GRPC{Host: f.value}).Validate("grpc") != nil {
		t.found.add(f.place, problem{message: "not an authority", legal: legal})
	}
	return healthcheck.GRPC{Service: service.or(""), Host: host.or("")}
}

func readGRPCS(t *table) healthcheck.Spec {
	return healthcheck.GRPCS{GRPC: readGRPC(t), TLS: readTLS(t)}
}

func readSMTP(t *table) healthcheck.Spec {
	spec := healthcheck.SMTP{Helo: t.hostName("helo").or("localhost")}
	starttls := t.truth("starttls")
	secure := readTLS(t)
	if starttls.or(false) {
		spec.StartTLS, spec.TLS = true, secure
		return spec
	}
	for _, key := range secureKeys() {
		if data, ok := t.values[key]; ok && starttls.sound() {
			t.found.add(t.value(key, data).place, problem{message: "there is no TLS without starttls", legal: "starttls = true besides it"})
		}
	}
	return spec
}

func readUser(t *table) string {
	user := t.text("user", "a user's name")
	if f := user; f.good && (f.value == "" || healthcheck.Encode(healthcheck.MySQL{User: f.value}).Validate("mysql") != nil) {
		t.found.add(f.place, problem{message: "not a user's name", legal: "1 to 63 bytes"})
	}
	return user.or("haldir")
}

func readFile(t *table) healthcheck.Spec {
	const legal = "an absolute path, in which {address} and {port} stand for the real server's"
	t.require("path")
	path := t.text("path", legal)
	when := t.choice("up_when", healthcheck.FileStates())
	if f := path; f.good && healthcheck.Encode(healthcheck.File{Path: f.value}).Validate("file") != nil {
		t.found.add(f.place, problem{message: "not an absolute path", legal: legal})
	}
	return healthcheck.File{Path: path.or("/"), UpWhen: when.or("absent")}
}

func readExec(t *table) healthcheck.Spec {
	const legal = "the absolute path of a program, then its arguments"
	t.require("command")
	command, _ := t.strings("command", legal)
	user := t.name("user")
	weight := t.truth("exit_weight")
	spec := healthcheck.Exec{Command: []string{"/"}, User: user.or("nobody"), ExitWeight: weight.or(false)}
	for i, f := range command {
		if i == 0 && f.good && !filepath.IsAbs(f.value) {
			t.found.add(f.place, problem{message: "not an absolute path", legal: legal})
		}
		spec.Command = append(spec.Command[:i], f.value)
	}
	return spec
}

func readAgent(t *table) healthcheck.Spec {
	t.require("port") // an agent is never at the port of the service
	return healthcheck.Agent{Send: t.bytes("send").value}
}
