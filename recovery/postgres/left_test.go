package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
)

// What a function of a restored database has started ends with its server, though it has
// begun a session of its own: nothing of a copy's outlives what was made of it.
func TestStop_left(t *testing.T) {
	if _, err := isolation.MakeCgroup("comeback-test"); errors.Is(err, isolation.ErrNoCgroup) && os.Geteuid() != 0 {
		t.Skip("an ordinary user's server is the user's own: nothing to hold apart")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := isolation.EndCgroups("comeback-test"); err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	_, s := running(t, postgres.TuneSettings(2, 0))
	conn, err := s.Connect(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `copy (select 1) to program 'mkfifo left && setsid -f sh -c "exec sleep 600 <>left"'`); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(s.Cluster().Data, "left")
	reads := func() error { // ENXIO where nobody has it open
		f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	for errors.Is(reads(), syscall.ENXIO) && ctx.Err() == nil { // it starts beside the statement
	}
	if err := reads(); err != nil {
		t.Fatalf("nothing was left: %v", err)
	}
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := reads(); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("what the server has started is still there: %v", err)
	}
}
