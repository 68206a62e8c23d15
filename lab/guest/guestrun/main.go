// Command guestrun runs a program of this machine, or the tests of Go packages,
// on a guest kernel that has ip_vs:
//
//	go run ./lab/guest/guestrun -with ipvsadm -- ipvsadm -ln
//	go run ./lab/guest/guestrun -file /etc/x=./x -- ./bin/haldir check
//	go run ./lab/guest/guestrun -test ./ipvsctl/ipvsnl -test ./lab -- -test.v
//
// Everything about it is in package guest; this is its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/haldir-lb/haldir/lab/guest"
)

func main() {
	if status, ok := guest.Dispatch(); ok {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := guest.Main(ctx, append([]string{"guestrun"}, os.Args[1:]...), os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
