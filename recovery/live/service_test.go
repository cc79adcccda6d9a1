package live_test

import (
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
)

// waiting is an env that tells when a server is waited for.
type waiting struct {
	*env
	waits func()
}

func (e waiting) Meter() recovery.Meter { return e }

func (e waiting) Phase(name string, total int64, unit recovery.Unit) {
	e.env.Phase(name, total, unit)
	if strings.HasPrefix(name, "wait for the server") {
		e.waits()
	}
}

// startedOnItsWayDown wants a server that is on its way down when it is to run, because
// whoever stopped it was cut off, to be started when it has ended. Its checkpoint takes
// as long as it has to.
func (b *beside) startedOnItsWayDown(t *testing.T) {
	t.Helper()
	root := connect(t, b.Layout.URL("postgres", "postgres"))
	checkpointer := number(t, text(t, root, "select pid::text from pg_stat_activity where backend_type = 'checkpointer'"))
	send := func(pid int, s syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(pid, s); err != nil {
			t.Error(err)
		}
	}
	first, _, _ := strings.Cut(read(t, filepath.Join(b.Cluster(), "postmaster.pid")), "\n")
	send(checkpointer, syscall.SIGSTOP)
	send(number(t, first), syscall.SIGINT)
	ctx := within(t)
	for !strings.Contains(read(t, filepath.Join(b.Cluster(), "postmaster.pid")), "stopping") {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	waits := 0
	e := waiting{&env{}, func() { waits++; send(checkpointer, syscall.SIGCONT) }}
	err := b.service().Start(ctx, e, b.address())
	if waits != 1 {
		send(checkpointer, syscall.SIGCONT)
		t.Errorf("waited %d times", waits)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(b.digest(t), b.old) {
		t.Error("live was changed")
	}
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
