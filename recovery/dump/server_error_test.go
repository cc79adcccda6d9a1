package dump

import (
	"fmt"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Where the copy has failed, a dump says what every restore says; only what came damaged, and a
// lost session, have words of their own.
func TestHintFor_copy(t *testing.T) {
	for _, kind := range []error{storage.ErrChanged, storage.ErrNotExist, storage.ErrUnavailable, storage.ErrDenied, storage.ErrExpired, storage.ErrArchived} {
		err := fmt.Errorf("read shop.dump: %w", &storage.Error{Op: "read", Object: "file:///copy/shop.dump", Kind: kind})
		if got, want := hintFor(postgres.Tools{}, err), recovery.CopyHint(err); got != want || want == "" {
			t.Errorf("%v: %q, want %q", kind, got, want)
		}
	}
	for _, err := range []error{storage.ErrCorrupt, errLost} {
		if got := hintFor(postgres.Tools{}, err); got == "" || recovery.CopyHint(err) != "" {
			t.Errorf("%v: %q", err, got)
		}
	}
}
