package firewall

import "bytes"

// registers are nftables' 16 registers of 4 bytes; a value may span several.
type registers struct {
	bytes [64]byte
	known [64]bool
}

// at is where a register begins: 1 to 4 are 16 bytes each, 8 to 23 are 4.
func at(register uint32) (int, bool) {
	switch {
	case register >= 1 && register <= 4:
		return int(register-1) * 16, true
	case register >= 8 && register <= 23:
		return int(register-8) * 4, true
	}
	return 0, false
}

// load puts a value into a register; nil is one that is not known, of any length.
func (r *registers) load(register uint32, value []byte) {
	begin, ok := at(register)
	if !ok {
		return
	}
	end := min(begin+16, len(r.bytes))
	if value != nil {
		// The kernel fills the last of the 4-byte units up with zeroes.
		end = min(begin+(len(value)+3)/4*4, len(r.bytes))
	}
	for i := begin; i < end; i++ {
		r.bytes[i], r.known[i] = 0, value != nil
	}
	copy(r.bytes[begin:end], value)
}

// read returns a value; false if some of it is not known.
func (r *registers) read(register uint32, length int) ([]byte, bool) {
	begin, ok := at(register)
	if !ok || length < 0 || begin+length > len(r.bytes) {
		return nil, false
	}
	for i := begin; i < begin+length; i++ {
		if !r.known[i] {
			return nil, false
		}
	}
	return bytes.Clone(r.bytes[begin : begin+length]), true
}
