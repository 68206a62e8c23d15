package process

import (
	"errors"
	"testing"
)

func TestALockIsSeenByOthersUntilItIsClosed(t *testing.T) {
	dir := t.TempDir()
	expect := func(when string, want bool) {
		t.Helper()
		for range 2 { // asking changes nothing
			if got, err := Locked(dir, "part"); err != nil || got != want {
				t.Errorf("%s: Locked = %v, %v; want %v", when, got, err, want)
			}
		}
	}
	expect("before anybody took it", false)
	lock, err := LockAs(dir, "part")
	if err != nil {
		t.Fatal(err)
	}
	expect("taken", true)
	if _, err := LockAs(dir, "part"); !errors.Is(err, ErrLocked) {
		t.Errorf("the second LockAs: %v, want %v", err, ErrLocked)
	}
	other, err := LockAs(dir, "other")
	if err != nil {
		t.Errorf("the lock of another part: %v", err)
	} else if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	expect("closed", false)
	again, err := LockAs(dir, "part")
	if err != nil {
		t.Fatalf("taking it again: %v", err)
	}
	_ = again.Close()
}
