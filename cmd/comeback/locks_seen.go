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

// locksSeen keeps in the state what backups have seen of locks, for a day: who may lift a
// lock in governance mode can let it end before its time, which the next backup after that mends.
type locksSeen struct {
	home runner.Home
	now  func() time.Time
}

// seenFor is how long what was seen counts.
const seenFor = 24 * time.Hour

// seenLocks is what is kept.
type seenLocks struct {
	At    time.Time            `json:"at"`
	Until map[string]time.Time `json:"until"`
}

var _ backup.LocksSeen = locksSeen{}

func (l locksSeen) file(place string, of recovery.Manifest) string {
	sum := sha256.Sum256([]byte(place + "\n" + of.System + "\n" + of.Component + "\n" + of.Engine))
	return filepath.Join(l.home.Dir, "locks-seen", hex.EncodeToString(sum[:8])+".json")
}

func (l locksSeen) Read(place string, of recovery.Manifest) map[string]time.Time {
	var seen seenLocks
	b, err := os.ReadFile(l.file(place, of))
	if err != nil || json.Unmarshal(b, &seen) != nil {
		return nil
	}
	if age := l.now().Sub(seen.At); age < 0 || age >= seenFor {
		return nil
	}
	return seen.Until
}

// Write keeps it; where that fails the next backup asks again.
func (l locksSeen) Write(place string, of recovery.Manifest, until map[string]time.Time) {
	if b, err := json.Marshal(seenLocks{At: l.now().UTC(), Until: until}); err == nil {
		_ = l.home.WriteFile(l.file(place, of), b)
	}
}
