package dump_test

import (
	"testing"

	"comeback/enginetest"
	"comeback/recovery/dump"
	"comeback/storage"
)

func TestEngine(t *testing.T) {
	empty, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, dump.New(dump.Options{}), empty)
}
