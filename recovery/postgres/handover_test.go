package postgres_test

import (
	"errors"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// What is handed over is not revived; what a reboot may have damaged before it was
// on disk is restored anew.
func TestHandOver(t *testing.T) {
	dir := t.TempDir()
	if handed, err := postgres.HandedOver(dir, true); handed || err != nil {
		t.Errorf("without a mark: %v, %v", handed, err)
	}
	h := postgres.HandOver{Data: "/scratch/data", Boot: "one"}
	if err := h.Write(dir); err != nil {
		t.Fatal(err)
	}
	if handed, err := postgres.HandedOver(dir, false); !handed || err != nil {
		t.Errorf("handed over: %v, %v", handed, err)
	}
	if got, err := postgres.ReadHandOver(dir); err != nil || *got != h {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := postgres.HandedOver(dir, true); !errors.Is(err, recovery.ErrGone) {
		t.Errorf("after a reboot: %v", err)
	}
	if handed, err := postgres.HandedOver(dir, true); handed || err != nil {
		t.Errorf("the mark is there still: %v, %v", handed, err)
	}
	h.Durable = true
	if err := h.Write(dir); err != nil {
		t.Fatal(err)
	}
	if handed, err := postgres.HandedOver(dir, true); !handed || err != nil {
		t.Errorf("on disk, after a reboot: %v, %v", handed, err)
	}
}
