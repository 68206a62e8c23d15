package control

import (
	"context"
	"os/user"
	"testing"
)

func TestARequestSaysWhoAsked(t *testing.T) {
	self, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var got Caller
	b := node("lvs1")
	b.reload = func(ctx context.Context) (ReloadResult, error) {
		got = CallerOf(ctx)
		return ReloadResult{Applied: true}, nil
	}
	path, _ := serve(t, b)
	if _, err := NewClient(path).Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.User != self.Username {
		t.Errorf("asked by %q, want %q", got.User, self.Username)
	}
	if got.Login == got.User {
		t.Errorf("login %q is said although it is the user", got.Login)
	}
}

func TestCallerText(t *testing.T) {
	for want, c := range map[string]Caller{
		"unknown": {}, "alice": {User: "alice"}, "root for alice": {User: "root", Login: "alice"},
	} {
		if got := c.String(); got != want {
			t.Errorf("%#v is %q, want %q", c, got, want)
		}
	}
}

func TestNobodyIsKnownOfAnotherContext(t *testing.T) {
	if got := CallerOf(t.Context()); got != (Caller{}) {
		t.Errorf("CallerOf = %v", got)
	}
}

func TestAUserWithoutNameIsANumber(t *testing.T) {
	const uid = 3999999999 // no system assigns it
	if got, want := userName(uid), "uid 3999999999"; got != want {
		t.Errorf("userName = %q, want %q", got, want)
	}
}
