package pitr_test

import (
	"testing"

	"comeback/enginetest"
	"comeback/recovery/pitr"
	"comeback/storage"
)

func TestEngine(t *testing.T) {
	empty, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, pitr.New(pitr.Options{Exe: "/proc/self/exe"}), empty)
}
