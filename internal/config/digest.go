package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// digest is that of the canonical form: of all but the services, then of each
// service, in the order of their names. So a service that stays need not be
// encoded again.
func (c *Config) digest() string {
	head := sumOf(c.canonicalHead())
	order := make([]int, len(c.Services))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(c.Services[a].Name, c.Services[b].Name) })
	h := sha256.New()
	h.Write(head[:])
	for _, i := range order {
		h.Write(c.parts.sums[i][:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func serviceSums(services []Service) []*sum {
	sums := make([]*sum, len(services))
	for i := range services {
		s := sumOf(canonicalServiceOf(services[i]))
		sums[i] = &s
	}
	return sums
}

// sumOf digests a canonical value. JSON has the keys of maps in order, as TOML has,
// and takes a fraction of the time.
func sumOf(canonical any) sum {
	text, err := json.Marshal(canonical)
	if err != nil {
		panic("encoding the canonical configuration: " + err.Error()) // all of its types are encodable
	}
	return sha256.Sum256(text)
}
