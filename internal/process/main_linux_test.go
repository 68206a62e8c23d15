package process

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// actVariable makes the test binary act as a process of a node.
const actVariable = "HALDIR_TEST_ACT"

// onTermVariable says what an actor does when it is asked to end: nothing at
// all ("hang"), end with an error ("fail"), end well once the speaker has
// answered ("ask"), and by default end well at once.
const onTermVariable = "HALDIR_TEST_ON_TERM"

func TestMain(m *testing.M) {
	switch role := Role(os.Getenv(actVariable)); role {
	case "":
		goleak.VerifyTestMain(m)
	case Supervisor:
		os.Exit(actSupervisor())
	default:
		os.Exit(act(role))
	}
}

// event is what an actor reports, a line of JSON on its standard output.
type event struct {
	Role Role            `json:"role"`
	PID  int             `json:"pid"`
	What string          `json:"what"` // start, term, hup, orphaned, message, link ended
	Peer Role            `json:"peer,omitempty"`
	Kind string          `json:"kind,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
}

func (e event) String() string { return fmt.Sprintf("%s %s %s %s", e.Role, e.What, e.Peer, e.Kind) }

// act is a process that says hello, answers, and reports what it sees.
func act(role Role) int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	report := func(e event) {
		e.Role, e.PID = role, os.Getpid()
		line, _ := json.Marshal(e)
		_, _ = os.Stdout.Write(append(line, '\n'))
	}
	in, err := Inherit(role, quiet())
	if err != nil {
		report(event{What: err.Error()})
		return 3
	}
	report(event{What: "start"})

	type arrival struct {
		peer Role
		m    Message
		ok   bool
	}
	arrivals := make(chan arrival)
	for peer, link := range in.Links {
		_ = link.Send(KindHello, "", NewHello())
		go func() {
			for m := range link.Receive() {
				arrivals <- arrival{peer, m, true}
			}
			arrivals <- arrival{peer: peer}
		}()
	}
	for {
		select {
		case <-in.Orphaned:
			report(event{What: "orphaned"})
			return 0
		case s := <-signals:
			if s == syscall.SIGHUP {
				report(event{What: "hup"})
				if supervisor := in.Links[Supervisor]; supervisor != nil {
					_ = supervisor.Send(KindHello, "", NewHello())
				}
				continue
			}
			report(event{What: "term"})
			switch os.Getenv(onTermVariable) {
			case "hang":
			case "fail":
				return 1
			case "ask":
				_ = in.Links[Speaker].Send("question", "", nil)
			default:
				return 0
			}
		case a := <-arrivals:
			if !a.ok {
				report(event{What: "link ended", Peer: a.peer})
				continue
			}
			report(event{What: "message", Peer: a.peer, Kind: a.m.Kind, Body: a.m.Body})
			switch a.m.Kind {
			case KindHello:
				_ = in.Links[a.peer].Send("known", "", os.Getpid())
			case "question":
				_ = in.Links[a.peer].Send("answer", "", nil)
			case "answer":
				return 0
			}
		}
	}
}

// actSupervisor supervises actors until it is killed or asked to end.
func actSupervisor() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := Run(ctx, Config{
		Command: func(role Role) *exec.Cmd { return actor(role, os.Stdout, "") },
		Log:     quiet(),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// actor is the command of an actor that reports to out.
func actor(role Role, out *os.File, onTerm string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// The race detector would have each process sleep for a second at its end.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", actVariable+"="+string(role), onTermVariable+"="+onTerm)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return cmd
}
