package healthcheck

import (
	"bytes"
	"net"
	"testing"
	"time"
)

func TestAgentWords(t *testing.T) {
	for _, test := range []struct {
		said    string
		outcome Outcome
		share   Share
		decided bool
		reason  Reason
		detail  string
	}{
		{"up\n", Pass, Share{}, true, ReasonAnswered, "up"},
		{"ready", Pass, Share{}, true, ReasonAnswered, "ready"},
		{"75%\r\n", Pass, Percent(75), false, ReasonAnswered, "75%"},
		{"0%\n", Pass, Percent(0), false, ReasonAnswered, "0%"},
		{"UP, 30%\tmaxconn:10\n", Pass, Percent(30), true, ReasonAnswered, ""},
		{"drain\n", Pass, Percent(0), false, ReasonAnswered, "drain"},
		{"drain 50%\n", Pass, Percent(0), false, ReasonAnswered, ""},
		{"maint\n", Fail, Share{}, true, ReasonAgent, "maint"},
		{"maint 50%\n", Fail, Share{}, true, ReasonAgent, "maint 50%"},
		{"down # disk full, 99%\n", Fail, Share{}, true, ReasonAgent, "down: disk full, 99%"},
		{"fail#\n", Fail, Share{}, true, ReasonAgent, "fail"},
		{"stopped\n", Fail, Share{}, true, ReasonAgent, "stopped"},
		{"up down\n", Fail, Share{}, true, ReasonAgent, "up down"},
		{"up\ndown\n", Pass, Share{}, true, ReasonAnswered, "up"},
		{"100000%\n", Pass, Percent(MaxPercent), false, ReasonAnswered, ""},
		{"\n", Fail, Share{}, false, ReasonMalformed, `""`},
		{"# up\n", Fail, Share{}, false, ReasonMalformed, "# up"},
		{"-5%\n", Fail, Share{}, false, ReasonMalformed, "-5%"},
		{"9999999999999%\n", Fail, Share{}, false, ReasonMalformed, ""},
		{"%\n", Fail, Share{}, false, ReasonMalformed, ""},
		{"HTTP/1.1 400 Bad Request\n", Fail, Share{}, false, ReasonMalformed, "HTTP"},
	} {
		got := judgeAgent(test.said)
		want(t, got, test.outcome, test.reason, test.detail)
		if got.Share != test.share || got.Decided != test.decided || got.Warning {
			t.Errorf("%q: %+v, want share %+v, decided %v, no warning", test.said, got, test.share, test.decided)
		}
	}
	if got := judgeAgent("50% s:3\n"); got.Outcome != Pass || !got.Warning || got.Share != Percent(50) || got.Reason != ReasonUnexpected {
		t.Errorf("with a word that is not understood: %+v, want a pass with a warning", got)
	}
}

func TestAgent(t *testing.T) {
	want(t, probe(t, Agent{}, hostile(t, says("80%\n")), time.Second), Pass, ReasonAnswered, "80%")
	closes := func(conn *net.TCPConn) { _, _ = conn.Write([]byte("drain")) }
	want(t, probe(t, Agent{}, hostile(t, closes), time.Second), Pass, ReasonAnswered, "drain")
	asked := func(conn *net.TCPConn) {
		heard := make([]byte, 5)
		if n, _ := conn.Read(heard); string(heard[:n]) == "name\n" {
			says("maint\n")(conn)
		}
	}
	want(t, probe(t, Agent{Send: Hex("name\n")}, hostile(t, asked), time.Second), Fail, ReasonAgent, "maint")
	want(t, probe(t, Agent{}, hostile(t, says("75%")), short), Fail, ReasonTimeout, "agent's line")
}

func TestAgentSurvivesHostileServers(t *testing.T) { hostility(t, Agent{}) }

func TestADecisionCountsAtOnce(t *testing.T) {
	b := newTable(t, 10)
	b.assign(target("a"))
	b.check("a", pass)
	out := b.check("a", judgeAgent("down"))
	if len(out) != 1 || out[0].Status != Down || out[0].Reason != ReasonAgent {
		t.Errorf("after one down of three: %+v, want down", out)
	}
	if out := b.check("a", judgeAgent("50%")); len(out) != 1 || out[0].Status != Down || out[0].Rising != 1 {
		t.Errorf("after a share alone: %+v, want down still, one success of two", out)
	}
	if out := b.check("a", judgeAgent("up")); len(out) != 1 || out[0].Status != Up {
		t.Errorf("after up: %+v, want up", out)
	}
}

func FuzzAgent(f *testing.F) {
	for _, seed := range []string{"up 75%\n", "drain", "down # why\r\n", "maxconn:5,ready\n", "50% x\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		r := judgeAgent(string(said))
		if r.Outcome != Pass && r.Outcome != Fail || r.Share.Percent > MaxPercent || len(r.Detail) > 400 || bytes.ContainsAny([]byte(r.Detail), "\n\x1b") {
			t.Errorf("result = %+v", r)
		}
	})
}
