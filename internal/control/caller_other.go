//go:build !linux

package control

import (
	"errors"
	"net"
)

func peerOf(net.Conn) (credentials, error) { return credentials{}, errors.ErrUnsupported }

func loginOf(int) (uint32, bool) { return 0, false }
