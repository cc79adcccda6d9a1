package push_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/push"
	"comeback/storage"
)

// TestMain lets the test binary be a pusher that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PUSH_TEST_DIR"); dir != "" {
		for _, name := range strings.Fields(os.Getenv("PUSH_TEST_NAMES")) {
			if _, err := push.Push(context.Background(), dirOptions(dir), dir+"/pg_wal/"+name); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println(name) // acknowledged
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// dirOptions push into two directories, of which one is enough.
func dirOptions(dir string) push.Options {
	open := func(name string) push.Copy {
		return push.Copy{Name: name, Open: func(context.Context) (storage.Store, error) { return storage.OpenDir(dir + "/" + name) }}
	}
	return push.Options{Component: recovery.Component{Name: "database"}, Copies: []push.Copy{open("nearby"), open("offsite")}, Quorum: 1,
		Wait:  time.Hour, // a copy that is there answers, however late
		Spool: dir + "/spool", Now: time.Now}
}
