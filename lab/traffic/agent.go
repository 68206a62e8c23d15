package traffic

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Main runs an agent: args are "responders", "client" or "downloads", and its
// configuration in JSON. It returns the exit status.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if err := run(args, in, out); err != nil {
		_, _ = fmt.Fprintln(errOut, err)
		return 1
	}
	return 0
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("an agent takes two arguments, its kind and its configuration, not %d; the lab starts it", len(args))
	}
	ctx := context.Background()
	w := &lines{encoder: json.NewEncoder(out)}
	switch args[0] {
	case "responders":
		return respond(commands(in), w)
	case "client":
		var cfg ClientConfig
		if err := json.Unmarshal([]byte(args[1]), &cfg); err != nil {
			return fmt.Errorf("reading the client's configuration: %w", err)
		}
		return runClient(ctx, cfg, commands(in), w)
	case "downloads":
		var cfg DownloadConfig
		if err := json.Unmarshal([]byte(args[1]), &cfg); err != nil {
			return fmt.Errorf("reading the configuration of the downloads: %w", err)
		}
		return runDownloads(ctx, cfg, commands(in), w)
	}
	return fmt.Errorf("unknown agent %q", args[0])
}

// lines writes messages, one a line.
type lines struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (l *lines) write(m Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.encoder.Encode(m)
}

// commands reads commands until the end of in, which is closed by the lab's death
// too, and then asks to stop.
func commands(in io.Reader) <-chan Command {
	c := make(chan Command)
	go func() {
		defer close(c)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			var command Command
			if json.Unmarshal(scanner.Bytes(), &command) == nil {
				c <- command
			}
		}
	}()
	return c
}
