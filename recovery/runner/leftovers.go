package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/recovery"
)

// leftovers are the files of a run that no event tells of: interrupted steps
// had not finished them.
func leftovers(dir string, events []recovery.Event) ([]recovery.Artifact, error) {
	entries, err := os.ReadDir(filepath.Join(dir, recovery.ArtifactsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for what was left unfinished: %w", err)
	}
	known := map[string]bool{}
	note := func(list []recovery.Artifact) {
		for _, a := range list {
			known[a.Name] = true
		}
	}
	for _, e := range events {
		switch p, _ := e.Payload(); p := p.(type) {
		case recovery.StepFinished:
			note(p.Outcome.Artifacts)
		case recovery.StepFailed:
			note(p.Outcome.Artifacts)
		case recovery.Waiting:
			note(p.Artifacts)
		case recovery.RunResumed:
			note(p.Artifacts)
		}
	}
	var left []recovery.Artifact
	for _, e := range entries {
		if known[e.Name()] || !e.Type().IsRegular() {
			continue
		}
		f, err := os.Open(filepath.Join(dir, recovery.ArtifactsDir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("look at what was left unfinished: %w", err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("look at what was left unfinished: %w", err)
		}
		left = append(left, recovery.Artifact{Name: e.Name(), Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return left, nil
}
