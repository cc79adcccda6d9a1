package ledger

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// read gives the entries that are believed. It ends before the first line that
// is torn or makes no sense: what follows was never synced.
func read[E any](r io.Reader, of, boot string) ([]E, error) {
	var entries []E
	synced, sameBoot, first := 0, false, true
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read ledger: %w", err)
		}
		var l line[E]
		if err != nil || json.Unmarshal(text, &l) != nil {
			break
		}
		switch {
		case first:
			if l.Head == nil || l.Head.Of != of {
				return nil, nil
			}
			sameBoot, first = l.Head.Boot == boot && boot != "", false
		case l.Entry != nil:
			entries = append(entries, *l.Entry)
		case l.Synced != nil && *l.Synced >= 0 && *l.Synced <= len(entries):
			synced = max(synced, *l.Synced)
		}
	}
	if !sameBoot {
		entries = entries[:synced]
	}
	return entries, nil
}
