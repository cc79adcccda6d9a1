package main

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/check"
)

// A backup is proven by whoever restored it in a run that passed and is signed, known
// here or not, and by no other run.
func TestProvers(t *testing.T) {
	k := recovery.Backup{ID: "base/1", Component: "database", Copy: "offsite"}
	points := []recovery.Point{{Component: "database", Copy: "offsite", Backup: k}}
	ci := &check.Stranger{Fingerprint: "SHA256:ci"}
	got := provers([]check.Proof{
		{Passed: true, Stranger: ci, Points: points},
		{Passed: true, Signed: true, Points: points},
		{Passed: true, Points: points}, // unsigned
		{Stranger: &check.Stranger{Fingerprint: "SHA256:failed"}, Points: points},
		{Passed: true, Stranger: &check.Stranger{Fingerprint: "SHA256:elsewhere"}, Points: []recovery.Point{{Component: "database", Copy: "nearby", Backup: k}}},
	})(k)
	if want := []string{ci.Fingerprint, backup.Known}; !slices.Equal(got, want) {
		t.Errorf("proven by %q, want %q", got, want)
	}
}
