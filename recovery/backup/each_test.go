package backup_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/storage"
)

// A copy that does not even hear that its time is over, as a disk that hangs, is told by its
// name, and what is done in the others is done.
func TestInEach_deaf(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		defer close(deaf)
		failed := backup.InEach(t.Context(), []recovery.Copy{{Name: "hangs"}, {Name: "nearby"}}, func(_ context.Context, c recovery.Copy) (storage.Store, error) {
			if c.Name == "hangs" {
				<-deaf
			}
			return store, nil
		}, func(context.Context, string, storage.Store) error { return nil })
		if _, silent := errors.AsType[*storage.Silent](failed["hangs"]); len(failed) != 1 || !silent {
			t.Errorf("it failed in %v", failed)
		}
	})
}
