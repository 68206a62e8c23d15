package realserver

import (
	"path/filepath"
	"time"

	"github.com/haldir-lb/haldir/internal/statefile"
)

// Record is what a Keeper writes down of itself, for status.
type Record struct {
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	// Loaded is when the configuration in force was read, Applied when the host
	// was brought to it and read back last.
	Loaded   time.Time `json:"loaded"`
	Applied  time.Time `json:"applied"`
	Services []string  `json:"services"`
	// Idle says why there is nothing to keep; empty if there is something.
	Idle string `json:"idle,omitempty"`
	// Repairs counts what was brought back after somebody changed it; Repaired is
	// the last one.
	Repairs    int       `json:"repairs"`
	Repaired   string    `json:"repaired,omitempty"`
	RepairedAt time.Time `json:"repaired_at,omitzero"`
	// Problem is why the host is not as it should be; empty if it is.
	Problem      string    `json:"problem,omitempty"`
	ProblemSince time.Time `json:"problem_since,omitzero"`
	// Refused is why the newest configuration is not in force; empty if it is.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
}

const keeperRecord = "realserver-run.json"

// LoadRecord reads what the keeper with this StateDir wrote last, in this life or
// an earlier one; the zero Record if there is nothing.
func LoadRecord(stateDir string) (Record, error) {
	var r Record
	err := statefile.Load(filepath.Join(stateDir, keeperRecord), &r)
	return r, err
}

func (r Record) save(stateDir string) error {
	return statefile.Save(filepath.Join(stateDir, keeperRecord), r)
}

func removeRecord(stateDir string) error {
	return statefile.Remove(filepath.Join(stateDir, keeperRecord))
}
