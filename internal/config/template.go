package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	sockaddr "github.com/hashicorp/go-sockaddr"
	sockaddrtemplate "github.com/hashicorp/go-sockaddr/template"
)

// host evaluates templates over this host's addresses without the virtual ones:
// with them, a template would yield another value on the master.
type host struct {
	opt  Options
	vips map[netip.Addr]bool

	loaded    bool
	addresses []HostAddress
	err       error
}

// errHost marks what a template cannot get from this host, as opposed to what is
// wrong with the template.
var errHost = errors.New("not on this host")

// one evaluates text and demands exactly one word as result. ofHost says that
// the problem is this host's, not the template's.
func (h *host) one(text string) (result string, what problem, ofHost bool) {
	return h.evaluate(text, func(HostAddress) bool { return true })
}

// oneAddress is one for fields that hold an address: of IPv4, and if there is no
// such result, of IPv6. A link-local address is nobody's to name.
func (h *host) oneAddress(text string) (result string, what problem, ofHost bool) {
	result, what, ofHost = h.evaluate(text, func(a HostAddress) bool { return a.Prefix.Addr().Is4() })
	if what.message != yieldsNothing {
		return result, what, ofHost
	}
	six, with6, _ := h.evaluate(text, func(a HostAddress) bool {
		return a.Prefix.Addr().Is6() && !a.Prefix.Addr().IsLinkLocalUnicast()
	})
	if with6.message == "" {
		return six, with6, false
	}
	return result, what, ofHost
}

const yieldsNothing = "the template yields nothing on this host"

func (h *host) evaluate(text string, use func(HostAddress) bool) (result string, what problem, ofHost bool) {
	if h.opt.Addresses == nil {
		return "", problem{message: "a template, which cannot be evaluated here"}, true
	}
	if !h.loaded {
		h.addresses, h.err = h.opt.Addresses()
		h.loaded = true
	}
	if h.err != nil {
		return "", problem{message: "the template cannot be evaluated: " + h.err.Error()}, true
	}
	var usable []HostAddress
	for _, a := range h.addresses {
		if !h.vips[a.Prefix.Addr()] && use(a) {
			usable = append(usable, a)
		}
	}
	output, frame, err := h.expand(text, usable)
	if err != nil {
		return "", problem{message: "the template fails: " + templateReason(err)}, errors.Is(err, errHost)
	}
	words := strings.FieldsFunc(output, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	slices.Sort(words)
	words = slices.Compact(words)
	if strings.TrimSpace(output) == frame {
		words = nil // what is around the actions is no result of theirs
	}
	switch len(words) {
	case 1:
		return words[0], problem{}, false
	case 0:
		return "", problem{
			message: yieldsNothing,
			legal:   "exactly one result from " + describe(usable),
		}, true
	}
	return "", problem{
		message: fmt.Sprintf("the template yields %d results on this host: %s", len(words), shorten(list(words))),
		legal:   `exactly one result; "include" and "exclude" narrow a list, "limit 1" takes its first`,
	}, true
}

// describe lists addresses for a message.
func describe(addresses []HostAddress) string {
	if len(addresses) == 0 {
		return "no address at all"
	}
	const most = 8
	var words []string
	for i, a := range addresses {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(addresses)-most))
			break
		}
		words = append(words, a.Prefix.String()+" on "+a.Interface.Name)
	}
	return list(words)
}

// templateReason is what is wrong, without text/template's position, which
// counts from the beginning of the value.
func templateReason(err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, ">: "); ok {
		text = after
	} else if rest, ok := strings.CutPrefix(text, "template: "); ok {
		if parts := strings.SplitN(rest, ": ", 2); len(parts) == 2 {
			text = parts[1]
		}
	}
	text = strings.TrimSuffix(text, ": "+errHost.Error())
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "error calling "), "\n")
	return text
}

// expand runs text as a go-sockaddr template over addresses.
//
// template.ParseIfAddrs injects them as the dot alone: the functions that begin
// a template, such as GetInterfaceIP, ask the host again, virtual addresses
// included, and those about the default route run the ip program. So these
// functions are replaced by ones over the injected addresses and the kernel's
// route table. They also differ in being exact: an interface's name must match
// as a whole, and a function or attr that would silently take the first of
// several results yields them all.
//
// frame is what text says outside of its actions.
func (h *host) expand(text string, addresses []HostAddress) (output, frame string, err error) {
	all := make(sockaddr.IfAddrs, 0, len(addresses))
	for _, a := range addresses {
		ip, err := sockaddr.NewIPAddr(a.Prefix.String())
		if err != nil {
			return "", "", fmt.Errorf("reading address %s: %w", a.Prefix, err)
		}
		all = append(all, sockaddr.IfAddr{SockAddr: ip, Interface: a.Interface})
	}
	functions := template.FuncMap{}
	maps.Copy(functions, sockaddrtemplate.FilterFuncs)
	maps.Copy(functions, sockaddrtemplate.HelperFuncs)
	maps.Copy(functions, local{h, all}.functions())
	t, err := template.New("").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return "", "", err
	}
	if t.Tree == nil { // nothing but definitions
		return "", "", nil
	}
	for _, node := range t.Root.Nodes {
		if literal, ok := node.(*parse.TextNode); ok {
			frame += string(literal.Text)
		}
	}
	var out strings.Builder
	if err := t.Execute(&out, all); err != nil {
		return "", "", err
	}
	return out.String(), strings.TrimSpace(frame), nil
}

// resolve parses the value of f, or what its template yields.
func resolve[T any](l *loader, f field[string], parse func(string) (T, problem)) (parsed T, ok bool) {
	text, what := f.value, problem{}
	if isTemplate(text) {
		if text, what, _ = l.host.oneAddress(f.value); what.message != "" {
			l.found.add(f.place, what)
			return parsed, false
		}
	}
	parsed, what = parse(text)
	if what.message == "" {
		return parsed, true
	}
	if isTemplate(f.value) {
		what.message = fmt.Sprintf("the template yields %q: %s", text, what.message)
		what.suggestion = ""
	}
	l.found.add(f.place, what)
	return parsed, false
}
