package healthcheck

import (
	"net/netip"
	"testing"
	"time"

	"github.com/haldir-lb/haldir/internal/testenv"
)

func TestExec(t *testing.T) {
	testenv.Root(t)
	address := netip.MustParseAddrPort("[2001:db8::1]:80")
	sh := func(text string) Exec { return Exec{Command: []string{"/bin/sh", "-c", text}} }
	tests := []struct {
		name    string
		spec    Exec
		outcome Outcome
		reason  Reason
		detail  string
	}{
		{"success", sh("echo all is well; echo more"), Pass, ReasonAnswered, "all is well"},
		{"arguments", Exec{Command: []string{"/bin/sh", "-c", `test "$1" = '$x "y'`, "sh", `$x "y`}}, Pass, ReasonAnswered, ""},
		{"address", sh(`test "$HALDIR_ADDRESS $HALDIR_PORT" = "2001:db8::1 80"`), Pass, ReasonAnswered, ""},
		{"nobody by default", sh(`test "$(/usr/bin/id -un)" = nobody`), Pass, ReasonAnswered, ""},
		{"another user", Exec{Command: []string{"/bin/sh", "-c", `test "$(/usr/bin/id -un)" = daemon`}, User: "daemon"}, Pass, ReasonAnswered, ""},
		{"status", sh("echo no luck >&2; exit 3"), Fail, ReasonExit, "exit status 3: no luck"},
		{"signal", sh("kill -SEGV $$"), Fail, ReasonExit, "segmentation fault"},
		{"hang", sh(`trap "" TERM; echo slow; /bin/sleep 1000`), Fail, ReasonTimeout, "killed: slow"},
		{"flood of controls", sh(`while :; do printf '\033[31m'; done`), Fail, ReasonTimeout, "killed: .[31m"},
		{"missing", Exec{Command: []string{"/does/not/exist"}}, Inconclusive, ReasonCannot, "no such file"},
		{"unknown user", Exec{Command: []string{"/bin/true"}, User: "nobody-of-that-name"}, Inconclusive, ReasonCannot, "unknown user"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want(t, probe(t, tt.spec, address, 700*time.Millisecond), tt.outcome, tt.reason, tt.detail)
		})
	}
	for text, share := range map[string]Share{"exit 0": {}, "exit 2": Percent(0), "exit 77": Percent(75), "exit 102": Percent(100), "exit 255": Percent(253)} {
		spec := sh("echo said; " + text)
		spec.ExitWeight = true
		got := probe(t, spec, address, 700*time.Millisecond)
		want(t, got, Pass, ReasonAnswered, "said")
		if got.Share != share {
			t.Errorf("%s: share %+v, want %+v", text, got.Share, share)
		}
	}
	weighs := sh("exit 1")
	weighs.ExitWeight = true
	want(t, probe(t, weighs, address, 700*time.Millisecond), Fail, ReasonExit, "exit status 1")
	for _, spec := range []Exec{{}, {Command: []string{"true"}}, {Command: []string{"/bin/a\x00"}}, {Command: []string{"/a"}, User: "a:b"}} {
		if _, err := spec.checker(); err == nil {
			t.Errorf("%+v is accepted", spec)
		}
	}
}
