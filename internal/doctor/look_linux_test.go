package doctor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/haldir-lb/haldir/internal/facts"
)

// lookVariable has what a process of this binary is to look at: a look takes many
// threads, and only a process has all of them in another namespace.
const lookVariable = "HALDIR_TEST_LOOK"

// lookForParent says on stdout that it begins, and then what it saw.
func lookForParent(encoded string) int {
	var want facts.Look
	text := base64.NewDecoder(base64.StdEncoding, strings.NewReader(encoded))
	if err := gob.NewDecoder(text).Decode(&want); err != nil {
		println("reading what to look at:", err.Error())
		return 1
	}
	if _, err := os.Stdout.Write([]byte{begun}); err != nil {
		return 1
	}
	if err := gob.NewEncoder(os.Stdout).Encode(facts.LookAround(context.Background(), want)); err != nil {
		println("telling what was seen:", err.Error())
		return 1
	}
	return 0
}

const begun = '>'

// lookAround looks around in the ward's namespace. While it does, meanwhile is
// called with its process, if it is set.
func (w *ward) lookAround(want facts.Look, meanwhile func(*os.Process)) *facts.Segment {
	w.t.Helper()
	var encoded bytes.Buffer
	if err := gob.NewEncoder(&encoded).Encode(want); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), lookVariable+"="+base64.StdEncoding.EncodeToString(encoded.Bytes()))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	w.do(cmd.Start)
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		w.t.Fatalf("waiting for the look to begin: %v", err)
	}
	if meanwhile != nil {
		meanwhile(cmd.Process)
	}
	var seen facts.Segment
	if err := gob.NewDecoder(out).Decode(&seen); err != nil {
		w.t.Errorf("reading what was seen: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Errorf("looking around: %v", err)
	}
	for _, u := range seen.Unknown {
		w.t.Errorf("unknown: %s: %s", u.What, u.Reason)
	}
	return &seen
}
