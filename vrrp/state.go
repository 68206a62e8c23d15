package vrrp

import "fmt"

// State is the state of a virtual router (RFC 9568, section 6.4).
type State uint8

const (
	// Init: not taking part; waiting for the interface or on the way out.
	Init State = iota
	// Backup: listening to a master, ready to take over.
	Backup
	// Master: advertising and holding the addresses ("Active" in RFC 9568).
	Master
	// Leaving: resigned with priority 0, still holding the addresses until a
	// successor is heard. Not a state of the RFC.
	Leaving
)

var stateNames = [...]string{Init: "init", Backup: "backup", Master: "master", Leaving: "leaving"}

// String returns "init", "backup", "master" or "leaving".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Holds reports whether a router in this state holds the addresses.
func (s State) Holds() bool { return s == Master || s == Leaving }

// MarshalText writes the name that String returns.
func (s State) MarshalText() ([]byte, error) {
	if int(s) >= len(stateNames) {
		return nil, fmt.Errorf("encoding a VRRP state: %d is none", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if string(text) == name {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("decoding a VRRP state: %q is none of init, backup, master, leaving", text)
}
