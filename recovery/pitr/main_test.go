package pitr

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery/isolation"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/postgres"
)

// The test binary is what restore_command starts: it answers `wal fetch` as the
// real program does.
func TestMain(m *testing.M) {
	isolation.Init()
	if len(os.Args) == 5 && os.Args[1] == "wal" && os.Args[2] == "fetch" {
		// Not os.Exit: under the race detector it waits for a second.
		syscall.Exit(walfetch.Ask(context.Background(), os.Getenv(walfetch.SocketEnv), os.Args[3], os.Args[4]))
	}
	enginetest.Main(dyingEngine, postgres.ReleaseCluster{})
	code := m.Run()
	if err := source.remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
