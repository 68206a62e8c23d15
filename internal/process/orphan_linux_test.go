package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/haldir-lb/haldir/internal/testenv"
)

// supervise starts a supervisor of actors as a process of its own, under another
// user if uid is not 0.
func supervise(t *testing.T, uid uint32) (*audience, *exec.Cmd) {
	t.Helper()
	a := newAudience(t)
	cmd := actor(Supervisor, a.out, "")
	if uid != 0 {
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		a.end()
	})
	return a, cmd
}

func TestDeathOfTheSupervisorIsSeenByAll(t *testing.T) {
	a, cmd := supervise(t, 0)
	pids := make(map[Role]int)
	for _, role := range []Role{Speaker, Director, Checker} {
		pids[role] = a.successor(role)
	}
	kill(t, cmd.Process.Pid)
	for role, pid := range pids {
		a.wait("the "+string(role)+" to see it", func(e event) bool { return e.PID == pid && e.What == "orphaned" })
	}
}

func TestSpeakerAloneRunsInRealTime(t *testing.T) {
	testenv.Root(t)
	s := newStage(t)
	speaker, director, checker := s.play()
	for _, test := range []struct {
		role   Role
		pid    int
		policy uint32
		told   string
	}{
		{Speaker, speaker, unix.SCHED_RR, "round robin, real-time priority 10"},
		{Director, director, unix.SCHED_NORMAL, "ordinary, nice "},
		{Checker, checker, unix.SCHED_NORMAL, "ordinary, nice "},
		{Supervisor, os.Getpid(), unix.SCHED_NORMAL, ""},
	} {
		for _, thread := range threads(t, test.pid) {
			attr, err := unix.SchedGetAttr(thread, 0)
			if err != nil {
				if errors.Is(err, unix.ESRCH) {
					continue // it has ended meanwhile
				}
				t.Fatal(err)
			}
			if attr.Policy != test.policy {
				t.Errorf("thread %d of the %s has policy %d, want %d", thread, test.role, attr.Policy, test.policy)
			}
		}
		if test.told != "" {
			s.told("the policy of the "+string(test.role)+", "+test.told, test.role, func(c Child) bool {
				return strings.HasPrefix(c.Scheduling, test.told) && !strings.Contains(c.Scheduling, "refused")
			})
		}
	}
}

func threads(t *testing.T, pid int) []int {
	t.Helper()
	names, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("listing the threads of %d: %v", pid, err)
	}
	var ids []int
	for _, name := range names {
		id, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestRefusalOfRealTimeIsTold(t *testing.T) {
	const nobody = 65534
	uid := uint32(0)
	if os.Geteuid() == 0 {
		uid = nobody
	}
	a, _ := supervise(t, uid)
	c := a.told("the speaker's scheduling", Speaker, func(c Child) bool { return c.PID != 0 })
	if !strings.HasPrefix(c.Scheduling, "ordinary, nice ") || !strings.Contains(c.Scheduling, "real-time scheduling refused: operation not permitted") {
		t.Errorf("the director was told %q, want an ordinary policy and the refusal", c.Scheduling)
	}
	c = a.told("the checker's scheduling", Checker, func(c Child) bool { return c.PID != 0 })
	if strings.Contains(c.Scheduling, "refused") {
		t.Errorf("the director was told %q of a checker that asked for nothing", c.Scheduling)
	}
}

func TestInheritRefusesAProcessThatNobodyStartedInThatRole(t *testing.T) {
	for _, value := range []string{"", string(Director)} {
		t.Setenv(roleVariable, value)
		in, err := Inherit(Speaker, quiet())
		if err == nil {
			in.Close()
		}
		if !errors.Is(err, ErrNotInherited) || !strings.Contains(err.Error(), "started by haldir run") {
			t.Errorf("Inherit as %q = %v, want %v", value, err, ErrNotInherited)
		}
	}
}

func TestInheritNamesTheMissingLink(t *testing.T) {
	a := newAudience(t)
	defer a.end()
	cmd := actor(Speaker, a.out, "")
	cmd.Env = append(cmd.Env, roleVariable+"="+string(Speaker))
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd.ExtraFiles = []*os.File{null, null} // no socket
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("a speaker without a link ended with %v, want exit status 3", err)
	}
	a.wait("the error", func(e event) bool { return strings.Contains(e.What, "inheriting the link to the director") })
}

func TestLockIsForOneNode(t *testing.T) {
	dir := t.TempDir()
	lock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second Lock = %v, want %v with the folder", err, ErrLocked)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("Lock after the first node has ended = %v", err)
	}
	_ = again.Close()
	if _, err := Lock(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Lock of a folder that is not there = %v, want %v", err, os.ErrNotExist)
	}
}
