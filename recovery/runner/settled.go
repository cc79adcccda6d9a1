package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"comeback/recovery"
)

// Settlement is what a person has said of a to-do of a run that has ended: it is done.
// The run's journal is signed by then, and stays as it was; the plan of the expiry that
// goes by it tells of it.
type Settlement struct {
	ToDo string    `json:"to_do"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// settled is where the settlements of a run's to-dos lie.
func (h Home) settled(id string) string { return filepath.Join(h.Dir, "settled", id+".json") }

// Settle remembers that to-dos of a run are done, beside those that were said to be
// before, or are by somebody else just now.
func (h Home) Settle(id string, said ...Settlement) error {
	runs, err := h.lockRuns()
	if err != nil {
		return fmt.Errorf("remember what is done of run %s: %w", id, err)
	}
	defer runs.Close()
	all, err := h.settlements(id)
	if err != nil {
		return err
	}
	for _, s := range said {
		if !slices.ContainsFunc(all, func(before Settlement) bool { return before.ToDo == s.ToDo }) {
			all = append(all, s)
		}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = h.WriteFile(h.settled(id), append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("remember what is done of run %s: %w", id, err)
	}
	return nil
}

// settlements are those of a run; none where nobody has said anything.
func (h Home) settlements(id string) ([]Settlement, error) {
	b, err := os.ReadFile(h.settled(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []Settlement
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		return nil, recovery.Errorf("move "+h.settled(id)+" away, and say again what is done with: comeback expire "+id+" --done NUMBERS",
			"read what is done of run %s: %w", id, err)
	}
	return all, nil
}
