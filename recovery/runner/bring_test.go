package runner_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery/runner"
)

// Of two that bring the same run at once one does, whole; the other finds it there. What was
// left half before is gone.
func TestHome_Bring_twoAtOnce(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	left := filepath.Join(home.Runs(), ".bring-7c31-1")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	filling, goOn, first := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	write := func(dir, name string) error { return os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600) }
	go func() {
		first <- home.Bring("7c31", func(dir string) error {
			err := write(dir, "a")
			close(filling)
			<-goOn
			return errors.Join(err, write(dir, "b"))
		})
	}()
	<-filling
	if err := home.Bring("7c31", func(dir string) error { return errors.Join(write(dir, "a"), write(dir, "b")) }); err != nil {
		t.Errorf("the second: %v", err)
	}
	close(goOn)
	if err := <-first; !errors.Is(err, fs.ErrExist) {
		t.Errorf("the first: %v", err)
	}
	entries, err := os.ReadDir(home.RunDir("7c31"))
	if err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v", entries, err)
	}
	if entries, err = os.ReadDir(home.Runs()); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}
