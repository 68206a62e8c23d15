package guest

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
)

// signatureMark ends a signed module. Before it are twelve bytes, whose last four
// are the length of the signature, which is before those.
const (
	signatureMark    = "~Module signature appended~\n"
	signatureInfoLen = 12
)

// stripSignatures takes the modules' signatures away. To check one takes the
// emulated processor most of the 100 ms that a signed module needs to load.
func stripSignatures(dir string) error {
	return filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".ko" {
			return err
		}
		module, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if stripped := withoutSignature(module); len(stripped) != len(module) {
			return os.Truncate(file, int64(len(stripped)))
		}
		return nil
	})
}

func withoutSignature(module []byte) []byte {
	body, signed := bytes.CutSuffix(module, []byte(signatureMark))
	if !signed || len(body) < signatureInfoLen {
		return module
	}
	rest := len(body) - signatureInfoLen - int(binary.BigEndian.Uint32(body[len(body)-4:]))
	if rest < 0 {
		return module
	}
	return module[:rest]
}
