package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"comeback/storage"
)

// restoringDir is where runs say what they restore from a copy, each in one object.
const restoringDir = "comeback/restoring/"

// RestoringLasts is how long what a run says it restores stays although nobody renews
// it. It is far longer than clocks differ and than a copy is away, since two hosts'
// clocks decide.
const RestoringLasts = 12 * time.Hour

// maxRestoring bounds what is read of one.
const maxRestoring = 1 << 20

// Restoring is what a run restores from a copy: a lease that it renews. Until then, and
// whatever host asks, retention leaves those backups alone, with all that they need.
type Restoring struct {
	System string `json:"system"`
	Run    string `json:"run"`
	Host   string `json:"host"`
	// Backups are the IDs that the copy lists them by.
	Backups []string  `json:"backups"`
	Until   time.Time `json:"until"`
}

// restoringKey tells runs of several hosts and states apart that have the same ID: by
// names them where Run alone does not.
func restoringKey(system, run, by string) string {
	return restoringDir + system + "/" + run + "-" + by + ".json"
}

// KeepRestoring says in a copy what a run restores from it, or says it again. By is the
// same for the same run, and for no other of its ID.
func KeepRestoring(ctx context.Context, s storage.Store, r Restoring, by string) error {
	b, err := json.Marshal(r)
	if err == nil {
		b = append(b, '\n')
		_, err = s.Put(ctx, restoringKey(r.System, r.Run, by), bytes.NewReader(b), storage.PutOptions{Size: int64(len(b))})
	}
	if err != nil {
		return fmt.Errorf("say what run %s restores: %w", r.Run, err)
	}
	return nil
}

// EndRestoring says in a copy that a run restores nothing from it any more.
func EndRestoring(ctx context.Context, s storage.Store, system, run, by string) error {
	if err := remove(ctx, s, restoringKey(system, run, by)); err != nil {
		return fmt.Errorf("say that run %s restores nothing any more: %w", run, err)
	}
	return nil
}

// restored are the backups that runs restore from a copy now, with the run in words.
func restored(ctx context.Context, s storage.Store, now time.Time) (map[string]string, error) {
	all := map[string]string{}
	for o, err := range s.List(ctx, restoringDir) {
		if err != nil {
			return nil, fmt.Errorf("list what runs restore: %w", err)
		}
		if !strings.HasSuffix(o.Key, ".json") || o.Size > maxRestoring {
			continue
		}
		r, err := readRestoring(ctx, s, o)
		if errors.Is(err, storage.ErrChanged) || errors.Is(err, storage.ErrNotExist) {
			// It was said again since it was listed, or has ended.
			if o, err = s.Stat(ctx, o.Key); err == nil {
				r, err = readRestoring(ctx, s, o)
			}
			if errors.Is(err, storage.ErrNotExist) {
				continue
			}
		}
		switch {
		case err != nil && (stored(err) || errors.Is(err, storage.ErrChanged)):
			return nil, fmt.Errorf("read what runs restore: %w", err)
		case err != nil || !r.Until.After(now): // nobody's words, or a dead one's
			continue
		}
		for _, id := range r.Backups {
			all[id] = fmt.Sprintf("run %s on %s restores it", r.Run, r.Host)
		}
	}
	return all, nil
}

func readRestoring(ctx context.Context, s storage.Store, o storage.Object) (r Restoring, err error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	err = json.NewDecoder(io.LimitReader(in, maxRestoring)).Decode(&r)
	return r, err
}
