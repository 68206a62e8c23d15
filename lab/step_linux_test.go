package lab

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestStepsOfTheExampleAreLegal(t *testing.T) {
	native(t) // the guest has no such file
	text, err := os.ReadFile("../etc/lab/failover.toml")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ParseSpec(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Steps) != 9 {
		t.Fatalf("%d steps, want 9", len(spec.Steps))
	}
	if got := spec.Steps[0].String(); got != "kill the speaker of d1" {
		t.Errorf("first step = %q, want kill the speaker of d1", got)
	}
	if got := spec.Steps[0].span(); got != 3*time.Second {
		t.Errorf("time of a step that names none = %v, want 3s", got)
	}
	if got := spec.Steps[5].span(); got != 5*time.Second {
		t.Errorf("time of the sixth step = %v, want 5s", got)
	}
}

func TestStepErrorsSayWhatIsLegal(t *testing.T) {
	for text, want := range map[string]string{
		`do = "explode"`:                             `step 1 (explode): do = "explode": legal is close, crash, cut, heal,`,
		`do = "stop"`:                                `node = "": legal is d1, d2`,
		`do = "stop"` + "\n" + `node = "rs1"`:        `node = "rs1": legal is d1, d2`,
		`do = "close"` + "\n" + `node = "d1"`:        `node = "d1": legal is rs1, rs2`,
		`do = "cut"` + "\n" + `node = "router"`:      `node = "router": legal is d1, d2, rs1, rs2`,
		`do = "kill"` + "\n" + `node = "d1"`:         `process = "": legal is supervisor, speaker, director, checker`,
		`do = "heal"` + "\n" + `node = "d1"`:         `node = "d1": heal concerns the whole cluster`,
		`do = "heal"` + "\n" + `process = "speaker"`: `process = "speaker": heal is not done to a process`,
		`do = "wait"` + "\n" + `for = "11m"`:         `for = 11m0s: legal is 0s to 10m0s`,
		`do = "wait"` + "\n" + `until = "tomorrow"`:  `step.until: unknown key (legal: do, node, process, for)`,
	} {
		_, err := ParseSpec("[[step]]\n" + text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

func TestEveryVerbHasATarget(t *testing.T) {
	spec := DefaultSpec(ForwardDR)
	for verb, to := range verbs {
		step := Step{Do: verb}
		switch to {
		case onProcess:
			step.Node, step.Process = "d1", "speaker"
		case onDirector, onMachine:
			step.Node = "d2"
		case onReal:
			step.Node = "rs1"
		}
		if errs := step.validate(spec, 1); len(errs) > 0 {
			t.Errorf("%s: %v", step, errs)
		}
	}
}
