package gather

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
	"comeback/storage"
)

// knownWithin bounds how long a check reads what a copy knows of its backups. What it
// does not come to, the next one reads.
const knownWithin = copyWithin / 2

// known reads what a copy knows of a system's backups. What was read once is kept in the
// state, for a copy may have a hundred thousand manifests, which never change; that it
// cannot be kept, or was damaged, costs time and nothing else.
func (o Options) known(ctx context.Context, seen *check.Copy, store storage.Store, within time.Duration) error {
	var before backup.Remembered
	sum := sha256.Sum256([]byte(seen.URL + "\n" + seen.Endpoint + "\n" + o.Build)) // another version may read more of a manifest
	file := filepath.Join(o.Home.Dir, "known", hex.EncodeToString(sum[:8])+".json")
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &before) != nil {
		before = nil
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	k, err := backup.Know(ctx, store, before)
	if err != nil {
		return err
	}
	seen.Manifests, seen.Unread, seen.UnreadErr = backup.Own(k.Manifests, o.Runbook.System, o.Runbook.Formerly...), k.Unread, k.Err
	if !k.Remember.Same(before) {
		if b, err := json.Marshal(k.Remember); err == nil {
			_ = o.Home.WriteFile(file, b)
		}
	}
	return nil
}
