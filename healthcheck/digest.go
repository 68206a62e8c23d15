package healthcheck

import "time"

// Digest says of many targets at a time that a check confirmed what was said of
// them before: nothing but the time of the check and its duration is new. The lists
// are of one length.
type Digest struct {
	IDs     []string `json:"ids"`
	Checked []int64  `json:"checked_ms"` // when the last check ended, in milliseconds since 1970
	Took    []int64  `json:"took_us"`    // its duration, in microseconds
}

func (d *Digest) add(v Verdict) {
	d.IDs = append(d.IDs, v.ID)
	d.Checked = append(d.Checked, v.Checked.UnixMilli())
	d.Took = append(d.Took, v.Duration.Microseconds())
}

// Confirm brings what the digest says into verdicts, by ID. It says nothing of
// targets that are not there, and of those that were checked later.
func (d Digest) Confirm(verdicts map[string]Verdict) {
	for i, id := range d.IDs {
		v, there := verdicts[id]
		if !there || i >= len(d.Checked) || i >= len(d.Took) {
			continue
		}
		if at := time.UnixMilli(d.Checked[i]); at.After(v.Checked) {
			v.Checked, v.Duration = at, time.Duration(d.Took[i])*time.Microsecond
			verdicts[id] = v
		}
	}
}
