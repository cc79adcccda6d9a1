package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/runner"
)

// locksSeen keeps in the state what backups have seen of locks.
type locksSeen struct{ home runner.Home }

var _ backup.LocksSeen = locksSeen{}

func (l locksSeen) file(place string, of recovery.Manifest) string {
	sum := sha256.Sum256([]byte(place + "\n" + of.System + "\n" + of.Component + "\n" + of.Engine))
	return filepath.Join(l.home.Dir, "locks", hex.EncodeToString(sum[:8])+".json")
}

func (l locksSeen) Read(place string, of recovery.Manifest) map[string]time.Time {
	var until map[string]time.Time
	if b, err := os.ReadFile(l.file(place, of)); err != nil || json.Unmarshal(b, &until) != nil {
		return nil
	}
	return until
}

// Write keeps it; where that fails the next backup asks again.
func (l locksSeen) Write(place string, of recovery.Manifest, until map[string]time.Time) {
	if b, err := json.Marshal(until); err == nil {
		_ = l.home.WriteFile(l.file(place, of), b)
	}
}
