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
	if _, err := isolation.MakeCgroup("comeback-test"); err != nil {
		t.Fatalf("a control group holds the server apart, which root can make where /sys/fs/cgroup may be written: %v", err)
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
	opens := func(how int) error {
		f, err := os.OpenFile(fifo, os.O_WRONLY|how, 0)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	left := make(chan error, 1)
	go func() { left <- opens(0) }() // which waits until it has begun, beside the statement
	select {
	case err := <-left:
		if err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("nothing was left")
	}
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := opens(syscall.O_NONBLOCK); !errors.Is(err, syscall.ENXIO) { // where nobody has it open
		t.Errorf("what the server has started is still there: %v", err)
	}
}
