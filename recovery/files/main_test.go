package files_test

import (
	"os"
	"strconv"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
)

func TestMain(m *testing.M) {
	files.SetWorkFactor(8)
	enginetest.Main(engine)
	os.Exit(m.Run())
}

// engine tells the journal of every few kilobytes that it has restored, or of as many
// as a test asks for in the environment, which the runners that it kills inherit.
func engine() recovery.Engine {
	every, err := strconv.ParseInt(os.Getenv(syncEveryEnv), 10, 64)
	if err != nil {
		every = 16 << 10
	}
	return files.New(files.Options{SyncEvery: every})
}

const syncEveryEnv = "COMEBACK_TEST_SYNC_EVERY"
