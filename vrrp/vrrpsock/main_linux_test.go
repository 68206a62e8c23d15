package vrrpsock_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

// The tests that run in parallel wait for timers of routers: many of them do no work.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
