package vrrp

import (
	"fmt"
	"strings"
	"time"
)

// Checksum is the form of the checksum of VRRPv3 over IPv4.
type Checksum string

const (
	// ChecksumRFC5798 covers message and pseudo-header, as keepalived and FRR send.
	ChecksumRFC5798 Checksum = "rfc5798"
	// ChecksumRFC9568 covers the message alone (RFC 9568, section 5.2.8).
	ChecksumRFC9568 Checksum = "rfc9568"
)

// version returns the version that the router speaks.
func (c *RouterConfig) version() uint8 {
	if c.Version == 0 {
		return 3
	}
	return c.Version
}

// effectiveVersion returns what a version field means, if it is legal.
func effectiveVersion(version uint8, family Family) (uint8, error) {
	switch {
	case version == 0 || version == 3:
		return 3, nil
	case version != 2:
		return 0, fmt.Errorf("version %d: must be 2 or 3", version)
	case family != IPv4:
		return 0, fmt.Errorf("version 2: is of IPv4 alone")
	}
	return version, nil
}

func checkInterval(version uint8, d time.Duration) error {
	lowest, highest := MinInterval, MaxInterval
	if version == 2 {
		lowest, highest = time.Second, MaxInterval2
	}
	if d < lowest || d > highest || d%lowest != 0 {
		return fmt.Errorf("interval %v: must be a multiple of %v from %v to %v", d, lowest, lowest, highest)
	}
	return nil
}

func checkAuthentication(version uint8, password string) error {
	switch {
	case password == "":
		return nil
	case version != 2:
		return fmt.Errorf("authentication: version 3 has none")
	case len(password) > authLen:
		return fmt.Errorf("authentication: %d octets: must be at most %d", len(password), authLen)
	case strings.Contains(password, "\x00"):
		return fmt.Errorf("authentication: must not contain NUL, with which it is filled up")
	}
	return nil
}

// authType returns Auth Type: none, or Simple Text Password (RFC 2338, section
// 5.3.6; RFC 3768 knows it as reserved).
func authType(password string) byte {
	if password == "" {
		return 0
	}
	return 1
}

// authData returns the authentication data, filled up with zeros.
func authData(password string) (data [authLen]byte) {
	copy(data[:], password)
	return data
}
