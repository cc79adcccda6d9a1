package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/said"
)

// commander runs the programs that read a source.
type commander struct{ redact func(string) string }

// run runs a program in a process group of its own, with the environment that it
// is given and nothing else, and ends it with ctx. An error has its last words,
// redacted.
func (c commander) run(ctx context.Context, cmd recovery.Cmd) error {
	p, last := isolation.Command(ctx, cmd), &said.Last{Most: maxWords}
	p.Stderr = last
	if cmd.Stderr != nil {
		p.Stderr = io.MultiWriter(last, cmd.Stderr)
	}
	err := isolation.RunGroup(p, nil)
	name := filepath.Base(cmd.Path)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s was stopped: %w", name, context.Canceled)
	case last.Words() != "":
		return fmt.Errorf("%s (%w)", c.redact(last.Words()), err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// maxWords bounds what an error repeats of a program's words.
const maxWords = 2 << 10
