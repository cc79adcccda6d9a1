// Package journaltest makes journals fail as full disks make them, for the tests
// of all that writes one.
package journaltest

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// LimitFileSize lets no file of this process grow beyond n bytes while f runs,
// which is how a write stops in the middle as it does on a full disk. The log that
// go test keeps for its cache is such a file, too; with -count=1 there is none.
func LimitFileSize(t *testing.T, n int64, f func()) {
	t.Helper()
	xfsz := make(chan os.Signal, 1)
	signal.Notify(xfsz, syscall.SIGXFSZ)
	defer signal.Stop(xfsz)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(n), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
