// Package kmodtest makes kernel modules that no kernel would load: ELF files
// with nothing but a .modinfo section. It is for tests alone.
package kmodtest

import (
	"bytes"
	"encoding/binary"
)

// Module returns a module with this .modinfo section ("depends=a,b\x00…").
func Module(modinfo string) []byte {
	const (
		names      = "\x00.modinfo\x00.shstrtab\x00"
		headerLen  = 64
		sectionLen = 64
		progBits   = 1
		strTab     = 3
	)
	infoAt := uint64(headerLen)
	namesAt := infoAt + uint64(len(modinfo))
	sectionsAt := namesAt + uint64(len(names))
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // a Buffer takes everything
		}
	}
	section := func(name, kind uint32, at, size uint64) {
		put(name, kind, uint64(0), uint64(0), at, size, uint32(0), uint32(0), uint64(1), uint64(0))
	}
	// 64 bits, little-endian, relocatable, x86-64; three sections, names in the last.
	put([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9), uint16(1), uint16(62), uint32(1), uint64(0), uint64(0), sectionsAt,
		uint32(0), uint16(headerLen), uint16(0), uint16(0), uint16(sectionLen), uint16(3), uint16(2))
	put([]byte(modinfo), []byte(names))
	section(0, 0, 0, 0)
	section(1, progBits, infoAt, uint64(len(modinfo)))
	section(10, strTab, namesAt, uint64(len(names)))
	return b.Bytes()
}
