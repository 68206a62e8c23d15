package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// maxFile is how long a file gets, in octets, before the next one begins.
	maxFile = 4 << 20
	// maxLine bounds a line that is read. What is longer is not ours.
	maxLine = 64 << 10
)

// file is two files: path, and its predecessor. Each line is an Event in JSON; a
// line that is none, such as one that a crash cut off, is skipped.
type file struct {
	path string
	open *os.File
	size int64
	torn bool // the last line may lack its end
}

func (f *file) predecessor() string { return f.path + ".1" }

// read returns what both files hold, the oldest first.
func (f *file) read() ([]Event, error) {
	var events []Event
	var errs []error
	for _, path := range []string{f.predecessor(), f.path} {
		in, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			var e Event
			if json.Unmarshal(lines.Bytes(), &e) != nil || e.ID == 0 || len(events) > 0 && e.ID <= events[len(events)-1].ID {
				continue
			}
			events = append(events, e)
			if len(events) >= 2*keep {
				events = append(events[:0], events[len(events)-keep:]...)
			}
		}
		errs = append(errs, lines.Err(), in.Close())
	}
	return events, errors.Join(errs...)
}

// append writes events, and is back when they are on disk.
func (f *file) append(events []Event) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines) // ends each value with a newline
	for i := range events {
		if err := encoder.Encode(&events[i]); err != nil {
			return err
		}
	}
	if err := f.prepare(int64(lines.Len())); err != nil {
		return err
	}
	data := lines.Bytes()
	if f.torn {
		data = append([]byte("\n"), data...)
	}
	n, err := f.open.Write(data)
	f.size += int64(n)
	f.torn = n > 0 && n < len(data) || n == 0 && f.torn
	if err == nil {
		err = f.open.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing down events: %w", err), f.close())
	}
	return nil
}

// prepare opens the file and begins another one where more would not fit.
func (f *file) prepare(more int64) error {
	if f.open != nil && f.size > 0 && f.size+more > maxFile {
		if err := f.close(); err != nil {
			return err
		}
		if err := os.Rename(f.path, f.predecessor()); err != nil {
			return err
		}
	}
	if f.open != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := out.Stat()
	if err != nil {
		return errors.Join(err, out.Close())
	}
	f.open, f.size = out, info.Size()
	end := make([]byte, 1)
	if f.size > 0 {
		if _, err := out.ReadAt(end, f.size-1); err != nil {
			return errors.Join(err, f.close())
		}
		f.torn = end[0] != '\n'
	}
	if f.size+more > maxFile && f.size > 0 {
		return f.prepare(more)
	}
	return nil
}

func (f *file) close() error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open = nil
	return err
}
