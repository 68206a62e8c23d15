package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type note struct {
	Text string `json:"text"`
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "note.json")
	for _, text := range []string{"first", "second"} {
		if err := Save(path, note{text}); err != nil {
			t.Fatal(err)
		}
		var got note
		if err := Load(path, &got); err != nil || got.Text != text {
			t.Errorf("loaded %q, %v, want %q", got.Text, err, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files left behind: %v", entries)
	}
}

func TestAMissingFileIsNoError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.json")
	got := note{"as it was"}
	if err := Load(path, &got); err != nil || got.Text != "as it was" {
		t.Errorf("loaded %q, %v", got.Text, err)
	}
	if err := Remove(path); err != nil {
		t.Errorf("Remove = %v", err)
	}
}

func TestAFileThatIsNoJSONIsNotGuessed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Load(path, &note{})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("Load = %v", err)
	}
}

func TestSaveLeavesTheOldFileIfItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "note.json")
	if err := Save(path, note{"old"}); err != nil {
		t.Fatal(err)
	}
	// A folder in the way of the file that is written first.
	if err := os.Mkdir(unfinished(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Save(path, note{"new"}); err == nil || !strings.HasPrefix(err.Error(), "writing "+path) {
		t.Errorf("Save = %v", err)
	}
	var got note
	if err := Load(path, &got); err != nil || got.Text != "old" {
		t.Errorf("loaded %q, %v, want the old one", got.Text, err)
	}
}

func TestRemoveTakesTheUnfinishedFileToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "note.json")
	for _, p := range []string{path, unfinished(path)} {
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(path); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, unfinished(path)} {
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", p, err)
		}
	}
}
