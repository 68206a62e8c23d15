package lab

import (
	"testing"
	"time"
)

// probed waits until the watch has probed often enough to tell.
func probed(t *testing.T, w *ARPWatch) {
	t.Helper()
	until(t, "ten probes", func() bool { return w.probes.Load() > 10 })
}

func TestAnARPWatchNamesTheOwner(t *testing.T) {
	c := direct(t)
	w, err := c.WatchARP(c.Spec.VIP(), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	probed(t, w)
	r, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Owners) != 1 || r.Owners[0].Node != "d1" || r.Owners[0].Answers == 0 || len(r.Conflicts) != 0 {
		t.Errorf("report = %+v, want d1 as the one owner", r)
	}
	if r.Probes < 5 || r.Unanswered > r.Probes/2 {
		t.Errorf("%d of %d probes unanswered, want most answered", r.Unanswered, r.Probes)
	}
}

func TestAnARPWatchSeesTwoOwners(t *testing.T) {
	c := direct(t)
	if err := addAddress(c.Node("d2").ns, Interface, within(ipv4.segment, hostVIP)); err != nil {
		t.Fatal(err)
	}
	w, err := c.WatchARP(c.Spec.VIP(), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	probed(t, w)
	r, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Conflicts) == 0 || len(r.Conflicts[0].MACs) != 2 || len(r.Owners) != 2 {
		t.Errorf("report = %+v, want conflicts between two owners", r)
	}
}

func TestAnARPWatchCountsSilence(t *testing.T) {
	c := newCluster(t, DefaultSpec(ForwardNone), Options{})
	w, err := c.WatchARP(c.Spec.VIP(), 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	probed(t, w)
	r, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if r.Probes == 0 || r.Unanswered != r.Probes || len(r.Owners) != 0 {
		t.Errorf("report = %+v, want every probe unanswered: nobody has the address", r)
	}
}

func TestAReplyWatchTellsWhoSentThem(t *testing.T) {
	c := direct(t)
	w, err := c.WatchReplies(c.Spec.VIP())
	if err != nil {
		t.Fatal(err)
	}
	client := wholeUDP(t, c)
	r := account(t, client, "start")
	origins, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if n := origins[Origin{Node: "d1", TTL: 64}]; len(origins) != 1 || uint64(n) < r.Answered {
		t.Errorf("origins = %v, want the %d answers, and those to connections, from d1 with TTL 64", origins, r.Answered)
	}
}

func TestAThousandConnectionsASecondAreAccountedFor(t *testing.T) {
	c := direct(t)
	c.Spec.Client.UDP, c.Spec.Client.TCP = 0, 1000
	client, err := c.StartClient(bound(t, 10*time.Second), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Until(bound(t, 10*time.Second), "tcp", "connections", answered); err != nil {
		t.Fatal(err)
	}
	if err := client.Mark(bound(t, 10*time.Second), "closed"); err != nil {
		t.Fatal(err)
	}
	if err := c.Node("d1").StopResponder(bound(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := client.Until(bound(t, 10*time.Second), "tcp", "refusals", unanswered); err != nil {
		t.Fatal(err)
	}
	reports, err := client.Stop(bound(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	open, _ := Find(reports, "tcp", "start")
	closed, _ := Find(reports, "tcp", "closed")
	if open.Sent == 0 || open.Failed() > 5 || open.Server("d1").Answered != open.Answered {
		t.Errorf("while it answered = %+v, want no more than the last few without an answer", open)
	}
	if closed.Refused == 0 || closed.Lost != 0 || closed.Sent != closed.Answered+closed.Refused+closed.Reset {
		t.Errorf("after it was closed = %+v, want refusals and nothing lost", closed)
	}
}
