package journal

import "time"

// Pauses between two attempts to write.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// run owns the files.
func (j *Journal) run() {
	defer close(j.stopped)
	earlier, err := j.file.read()
	if err != nil {
		j.wrote(0, "reading the events of before: "+err.Error())
	}
	j.recall(earlier)
	close(j.recalled)
	pause, waiting := firstRetry, false
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-j.stop:
			j.write()
			_ = j.file.close()
			return
		case <-j.wake:
			if waiting {
				continue
			}
		case <-retry.C:
		}
		if waiting = !j.write(); !waiting {
			pause = firstRetry
			continue
		}
		retry.Reset(pause)
		pause = min(2*pause, lastRetry)
	}
}

// write brings what is new to the disk, and reports whether it could.
func (j *Journal) write() bool {
	events := j.unwritten()
	if len(events) == 0 {
		return true
	}
	if err := j.file.append(events); err != nil {
		j.wrote(0, err.Error())
		return false
	}
	j.wrote(events[len(events)-1].ID, "")
	return true
}
