package peer

import (
	"encoding/json"
	"errors"
	"fmt"
)

const (
	// pageSize is the most that a datagram carries, so that none is fragmented.
	pageSize = 1200
	// maxPages bounds a message: some hundred entries. What does not fit is cut.
	maxPages = 16
	// MaxServes is how many addresses of its own a director tells.
	MaxServes = 8
	// maxAgo is how old a count of connections may be, in milliseconds.
	maxAgo = 3_600_000
	// maxText bounds each text of a message that arrives.
	maxText = 256
)

// page is one datagram. The lists of all pages together are the message's; the
// other fields are the same on each.
type page struct {
	Version int `json:"v"`
	Page    int `json:"page"`
	Pages   int `json:"pages"`
	Message
}

// Encode returns the datagrams of a message.
func Encode(m Message) ([][]byte, error) {
	p := &packer{head: m}
	p.head.Routers, p.head.Heard, p.head.NotUp = nil, nil, nil
	p.begin()
	for _, r := range m.Routers {
		p.add(r, func(page *Message) { page.Routers = append(page.Routers, r) })
	}
	for _, h := range m.Heard {
		p.add(h, func(page *Message) { page.Heard = append(page.Heard, h) })
	}
	for _, n := range m.NotUp {
		p.add(n, func(page *Message) { page.NotUp = append(page.NotUp, n) })
	}
	if p.err != nil {
		return nil, fmt.Errorf("encoding a message to the peer: %w", p.err)
	}
	datagrams := make([][]byte, len(p.pages))
	for i, m := range p.pages {
		m.Partial = m.Partial || p.full
		data, err := json.Marshal(page{Version: Version, Page: i, Pages: len(p.pages), Message: m})
		if err != nil {
			return nil, fmt.Errorf("encoding a message to the peer: %w", err)
		}
		datagrams[i] = data
	}
	return datagrams, nil
}

// packer fills pages with entries.
type packer struct {
	head  Message
	pages []Message
	empty int // octets of a page without entries
	left  int // octets that the last page has room for
	full  bool
	err   error
}

// slack is room for what begin does not measure: the names of the lists and the
// digits of the page numbers.
const slack = 64

func (p *packer) begin() {
	if p.empty == 0 {
		data, err := json.Marshal(page{Version: Version, Message: p.head})
		p.err = errors.Join(p.err, err)
		p.empty = len(data) + slack
	}
	p.pages = append(p.pages, p.head)
	p.left = pageSize - p.empty
}

// add puts an entry on the last page, or a new one.
func (p *packer) add(entry any, put func(*Message)) {
	if p.full {
		return
	}
	data, err := json.Marshal(entry)
	p.err = errors.Join(p.err, err)
	need := len(data) + 1
	if need > p.left {
		if len(p.pages) == maxPages || need > pageSize-p.empty {
			p.full = true
			return
		}
		p.begin()
	}
	p.left -= need
	put(&p.pages[len(p.pages)-1])
}

// decode reads one datagram. It refuses what this package does not send.
func decode(data []byte) (page, error) {
	var p page
	if err := json.Unmarshal(data, &p); err != nil {
		return page{}, fmt.Errorf("reading a peer's message: %w", err)
	}
	switch {
	case p.Version != Version:
		return page{}, fmt.Errorf("reading a peer's message: version %d, want %d", p.Version, Version)
	case p.Pages < 1 || p.Pages > maxPages || p.Page < 0 || p.Page >= p.Pages:
		return page{}, fmt.Errorf("reading a peer's message: page %d of %d", p.Page, p.Pages)
	case len(p.Serves) > MaxServes:
		return page{}, fmt.Errorf("reading a peer's message: %d addresses of its own, at most %d are legal", len(p.Serves), MaxServes)
	case p.Connections != nil && (p.Connections.Ago < 0 || p.Connections.Ago > maxAgo):
		return page{}, fmt.Errorf("reading a peer's message: connections counted %d ms ago", p.Connections.Ago)
	case p.Node == "" || p.Run == "":
		return page{}, errors.New("reading a peer's message: it does not say whose it is")
	}
	texts := []string{p.Node, p.Run, p.Release, p.Config}
	for _, r := range p.Routers {
		texts = append(texts, r.Name, r.State)
	}
	for _, h := range p.Heard {
		texts = append(texts, h.MAC)
	}
	for _, n := range p.NotUp {
		texts = append(texts, n.ID, n.Status, n.Reason)
	}
	for _, text := range texts {
		if len(text) > maxText {
			return page{}, errors.New("reading a peer's message: a text is too long")
		}
		if !printable(text) {
			return page{}, fmt.Errorf("reading a peer's message: %q is not printable", text)
		}
	}
	return p, nil
}
