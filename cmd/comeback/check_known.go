package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery/backup"
	"comeback/recovery/check"
	"comeback/runbooks"
	"comeback/storage"
)

// knownWithin bounds how long a check reads what a copy knows of its backups. What it
// does not come to, the next one reads.
const knownWithin = copyWithin / 2

// gatherKnown reads what a copy knows of a system's backups. What was read once is kept in the
// state, for a copy may have a hundred thousand manifests, which never change; that it
// cannot be kept, or was damaged, costs time and nothing else.
func (a *app) gatherKnown(ctx context.Context, seen *check.Copy, store storage.Store, rb *runbooks.Runbook, within time.Duration) error {
	var before, file = backup.Remembered(nil), ""
	home, errHome := a.home()
	if errHome == nil {
		v, c := build()
		sum := sha256.Sum256([]byte(seen.URL + "\n" + seen.Endpoint + "\n" + v + " " + c)) // another version may read more of a manifest
		file = filepath.Join(home.Dir, "known", hex.EncodeToString(sum[:8])+".json")
		if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &before) != nil {
			before = nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	k, err := backup.Know(ctx, store, before)
	if err != nil {
		return err
	}
	seen.Manifests, seen.Unread, seen.UnreadErr = backup.Own(k.Manifests, rb.System, rb.Formerly...), k.Unread, k.Err
	if errHome == nil && !k.Remember.Same(before) {
		if b, err := json.Marshal(k.Remember); err == nil {
			_ = home.WriteFile(file, b)
		}
	}
	return nil
}
