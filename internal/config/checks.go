package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haldir-lb/haldir/healthcheck"
)

// checkKind is one type of health check as the file knows it.
type checkKind struct {
	name string
	// keys are those that the type has besides the common ones.
	keys []string
	// portless types have no use for the key port.
	portless bool
	read     func(t *table) healthcheck.Spec
}

// commonCheckKeys are the keys of every type, but for port.
func commonCheckKeys() []string {
	return []string{"type", "every", "every_doubt", "every_down", "every_steady", "timeout", "rise", "fall", "flap_damping"}
}

// secureKeys are those of every type that speaks TLS.
func secureKeys() []string {
	return []string{"sni", "skip_verify", "ca", "certificate", "key", "min_version", "expiry_warning", "expiry_failure"}
}

func checkKinds() []checkKind {
	http := []string{"method", "path", "host", "headers", "body", "expect"}
	secure := secureKeys()
	return []checkKind{
		{name: "tcp", keys: []string{"send", "send_hex", "expect", "expect_hex"}, read: readTCP},
		{name: "http", keys: http, read: func(t *table) healthcheck.Spec { return readHTTP(t) }},
		{name: "https", keys: slices.Concat(http, secure, []string{"http2"}), read: readHTTPS},
		{name: "udp", keys: []string{"send", "send_hex", "expect", "expect_hex", "silence_passes"}, read: readUDP},
		{name: "dns", keys: []string{"name", "record", "tcp", "expect"}, read: readDNS},
		{name: "ping", portless: true, read: func(*table) healthcheck.Spec { return healthcheck.Ping{} }},
		{name: "grpc", keys: []string{"service", "host"}, read: func(t *table) healthcheck.Spec { return readGRPC(t) }},
		{name: "grpcs", keys: slices.Concat([]string{"service", "host"}, secure), read: readGRPCS},
		{name: "smtp", keys: slices.Concat([]string{"helo", "starttls"}, secure), read: readSMTP},
		{name: "redis", read: func(*table) healthcheck.Spec { return healthcheck.Redis{} }},
		{name: "mysql", keys: []string{"user"}, read: func(t *table) healthcheck.Spec { return healthcheck.MySQL{User: readUser(t)} }},
		{name: "postgresql", keys: []string{"user"}, read: func(t *table) healthcheck.Spec { return healthcheck.PostgreSQL{User: readUser(t)} }},
		{name: "file", keys: []string{"path", "up_when"}, portless: true, read: readFile},
		{name: "exec", keys: []string{"command", "user", "exit_weight"}, read: readExec},
		{name: "agent", keys: []string{"send", "send_hex"}, read: readAgent},
		{name: "tls", keys: slices.Concat(secure, []string{"alpn"}), read: readTLSHandshake},
	}
}

// passable reports whether the type can be checked through the virtual address.
func (k checkKind) passable() bool { return slices.Contains(healthcheck.MarkedTypes(), k.name) }

func checkTypes() []string {
	var names []string
	for _, k := range checkKinds() {
		names = append(names, k.name)
	}
	return names
}

func kindOfCheck(name string) checkKind {
	kinds := checkKinds()
	return kinds[slices.IndexFunc(kinds, func(k checkKind) bool { return k.name == name })]
}

// checkHome says which types of check have key, or returns "".
func checkHome(key string) string {
	if key == "port" || key == "via" {
		return "[service.check]"
	}
	var types []string
	for _, k := range checkKinds() {
		if slices.Contains(k.keys, key) {
			types = append(types, k.name)
		}
	}
	if len(types) == 0 {
		return ""
	}
	return "[service.check] of type " + list(types)
}

// readOptions reads what the type of a check has of its own.
func (k checkKind) readOptions(t *table) healthcheck.Options {
	before := len(t.found.errors)
	options := healthcheck.Encode(k.read(t))
	if err := options.Validate(k.name); err != nil && len(t.found.errors) == before {
		at := t.place
		at.text = ""
		t.found.add(at, problem{message: err.Error()})
	}
	return options
}

func readTCP(t *table) healthcheck.Spec {
	send, expect := t.bytes("send"), t.bytes("expect")
	if send.good && !expect.set {
		t.found.add(send.place, problem{message: "the reply would not be looked at", legal: "expect besides it"})
	}
	return healthcheck.TCP{Send: send.value, Expect: expect.value}
}

func readHTTP(t *table) healthcheck.HTTP {
	method := t.str("method", "an HTTP method, such as \"GET\"")
	path := t.text("path", pathLegal)
	if f := path; f.good && !strings.HasPrefix(f.value, "/") {
		path.good = false
		t.found.add(f.place, problem{message: "not a path on a server", legal: pathLegal, suggestion: strconv.Quote("/" + f.value)})
	}
	host := t.str("host", "the value of the Host header")
	headers := t.words("headers", func(name, value string) string {
		if err := healthcheck.ValidHeader(name, value); err != nil {
			return err.Error()
		}
		return ""
	})
	body := t.text("body", "the request's body")
	spec := healthcheck.HTTP{
		Method: method.or("GET"), Path: path.or("/"), Host: host.or(""), Headers: headers, Body: body.or(""),
	}
	check := func(f field[string], one healthcheck.HTTP, legal string) {
		if !f.good {
			return
		}
		if err := healthcheck.Encode(one).Validate("http"); err != nil {
			t.found.add(f.place, problem{message: innermost(err), legal: legal})
		}
	}
	check(method, healthcheck.HTTP{Method: method.value}, "GET, HEAD, POST, OPTIONS or another method")
	check(path, healthcheck.HTTP{Path: path.value}, pathLegal)
	check(host, healthcheck.HTTP{Host: host.value}, "a host name, a port may follow")
	spec.Expect = readExpect(t, method.or("GET"))
	return spec
}

const pathLegal = `a path that begins with one "/"; a query may follow`

func readExpect(parent *table, method string) healthcheck.HTTPExpect {
	e := healthcheck.HTTPExpect{Status: []healthcheck.StatusRange{{Low: 200, High: 299}}}
	t, present, ok := parent.child("expect")
	if !present || !ok {
		return e
	}
	if status, ok := t.statuses("status"); ok {
		e.Status = status
	}
	body := t.text("body", "text")
	pattern := t.text("body_regexp", "a regular expression in Go's syntax (RE2)")
	if f := pattern; f.good {
		if err := healthcheck.Encode(healthcheck.HTTP{Expect: healthcheck.HTTPExpect{BodyRegexp: f.value}}).Validate("http"); err != nil {
			t.found.add(f.place, problem{message: innermost(err), legal: "a regular expression in Go's syntax (RE2)"})
		}
	}
	e.JSON = readJSONFields(t, method)
	for _, f := range []field[string]{body, pattern} {
		if f.good && f.value != "" && method == "HEAD" {
			t.found.add(f.place, problem{message: "an answer to HEAD has no body"})
		}
	}
	e.Body, e.BodyRegexp = body.or(""), pattern.or("")
	e.Headers = t.words("headers", func(name, _ string) string {
		if err := healthcheck.Encode(healthcheck.HTTP{Expect: healthcheck.HTTPExpect{Headers: map[string]string{name: ""}}}).Validate("http"); err != nil {
			return innermost(err)
		}
		return ""
	})
	t.finish()
	return e
}

func readHTTPS(t *table) healthcheck.Spec {
	return healthcheck.HTTPS{HTTP: readHTTP(t), TLS: readTLS(t), HTTP2: t.truth("http2").or(false)}
}

func readTLSHandshake(t *table) healthcheck.Spec {
	spec := healthcheck.TLSHandshake{TLS: readTLS(t)}
	names, _ := t.strings("alpn", `a protocol's name, such as "h2"`)
	for _, f := range names {
		if f.good && (f.value == "" || len(f.value) > 255) {
			t.found.add(f.place, problem{message: "not a protocol's name", legal: "1 to 255 bytes"})
		}
		spec.ALPN = append(spec.ALPN, f.value)
	}
	return spec
}

func readTLS(t *table) healthcheck.TLS {
	sni := t.hostName("sni")
	skip := t.truth("skip_verify")
	ca := t.str("ca", "an absolute path")
	const pem = "the absolute path of a PEM file"
	certificate, key := t.str("certificate", pem), t.str("key", pem)
	for _, f := range []field[string]{certificate, key} {
		if f.good && !filepath.IsAbs(f.value) {
			t.found.add(f.place, problem{message: "not an absolute path", legal: pem})
		}
	}
	if key.good && !certificate.set {
		t.found.add(key.place, problem{message: "a key without its certificate", legal: "certificate besides it"})
	}
	version := t.choice("min_version", healthcheck.TLSVersions())
	warning := t.duration("expiry_warning", expirySpan())
	failure := t.duration("expiry_failure", expirySpan())
	switch {
	case ca.good && !filepath.IsAbs(ca.value):
		t.found.add(ca.place, problem{message: "not an absolute path", legal: "the absolute path of a PEM file"})
	case ca.good && skip.or(false):
		t.found.add(ca.place, problem{message: "the authorities would not be looked at", legal: "ca or skip_verify = true"})
	}
	if warning.good && failure.good && warning.value != 0 && warning.value <= failure.value {
		t.found.add(warning.place, problem{
			message: fmt.Sprintf("not before expiry_failure = %q: nobody would be warned", plain(failure.value)),
			legal:   fmt.Sprintf("more than %q, or %q for no warning", plain(failure.value), "0s"),
		})
	}
	return healthcheck.TLS{
		SNI: sni.or(""), SkipVerify: skip.or(false), CA: ca.or(""),
		Certificate: certificate.or(""), Key: key.or(""), MinVersion: version.or("1.2"),
		ExpiryWarning: healthcheck.Span(warning.or(max(defaultExpiryWarning, 2*failure.or(0)))),
		ExpiryFailure: healthcheck.Span(failure.or(0)),
	}
}

// defaultExpiryWarning is two weeks.
const defaultExpiryWarning = 336 * time.Hour

func expirySpan() span { return span{low: time.Minute, high: 87600 * time.Hour, zero: "never"} }

// innermost is the last message of err: the place says the rest.
func innermost(err error) string {
	text := err.Error()
	for _, prefix := range []string{`options of type "http": `, "expect: ", "headers: ", "body_regexp: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// canonicalOptions returns options as the keys that the schema has for them.
func canonicalOptions(options healthcheck.Options) map[string]any {
	keys, err := options.Keys()
	if err != nil {
		panic("reading check options: " + err.Error()) // they were encoded by this package
	}
	// The one zero value that is no default. Where there is TLS, there is a version.
	if keys["min_version"] != nil && keys["expiry_warning"] == nil {
		keys["expiry_warning"] = "0s"
	}
	return keys
}
