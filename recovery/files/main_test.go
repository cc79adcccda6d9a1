package files_test

import (
	"os"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
)

func TestMain(m *testing.M) {
	enginetest.Main(engine)
	os.Exit(m.Run())
}

// engine tells the journal of every few kilobytes that it has restored.
func engine() recovery.Engine { return files.New(files.Options{SyncEvery: 16 << 10}) }
