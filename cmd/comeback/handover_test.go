package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"

	"github.com/jackc/pgx/v5"
)

// handOverRunbook is liveRunbook for a database that is left running beside.
func handOverRunbook(t *testing.T, l *lost, want []digest) string {
	t.Helper()
	path := liveRunbook(t, l, want)
	text, err := os.ReadFile(path)
	if err == nil {
		text = []byte(strings.Replace(string(text), `url: "${DATABASE_URL}"}`, `url: "${DATABASE_URL}", into: hand-over}`, 1))
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A hand-over whose runner is killed anywhere is resumed, and runs; or stopped, and
// nothing of it is left. Live is not touched by either.
func TestRecover_handOverAfterKill(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	untouched := rowsOf(t, l.URL())
	k := killing{rig: func() *rig { return newRig(t).live(l) }, did: func(s recovery.State) bool { return len(s.HandedOver) > 0 },
		args: []string{"recover", handOverRunbook(t, l, l.atDump), "--plain", "--to", l.dump}}
	var handed string
	k.now = func() (string, error) {
		now, err := digests(t.Context(), l.URL())
		if err != nil || !slices.Equal(now, untouched) {
			return "", fmt.Errorf("live was changed: %w", err)
		}
		left, err := filepath.Glob(filepath.Join(handed, "*.database"))
		return fmt.Sprintf("%d servers", len(left)), err
	}
	k.old, k.new = "0 servers", "1 servers"
	k.rig = func() *rig {
		r := newRig(t).live(l)
		handed = r.scratch
		return r
	}
	k.back = func(t *testing.T, r *rig, run string) {
		t.Helper()
		h := r.stateOf(t, run).HandedOver[0]
		if now := rowsOf(t, h.Local); !slices.Equal(now, l.atDump) {
			t.Errorf("handed over: %v, in the dump: %v", now, l.atDump)
		}
		if got := r.removes(t, run, h.Place); got.code != recovery.CameBack {
			t.Fatalf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
		}
	}
	k.anywhere(t, "database.hand-over", 0, "before:step.finished/1 database.hand-over")
	// What runs on its own is not restored again.
	t.Run("done", func(t *testing.T) { k.at(t, "after:step.finished/1 database.hand-over", true) })
}

// A database that is handed over is restored, checked and left running on its own,
// with its address in the report; live is untouched. It stays until it is removed
// by name, and not while somebody uses it.
func TestRecover_handOver(t *testing.T) {
	t.Parallel()
	l := theShop(t)
	r := newRig(t).live(l)
	path := handOverRunbook(t, l, l.before)
	untouched := rowsOf(t, l.URL())
	got := r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID))
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	run := filepath.Base(r.only(t))
	state := r.stateOf(t, run)
	if len(state.HandedOver) != 1 || len(state.Held()) != 0 {
		t.Fatalf("handed over %+v, held %+v", state.HandedOver, state.Held())
	}
	h := state.HandedOver[0]
	t.Cleanup(func() {
		if err := (postgres.Cluster{Data: filepath.Join(h.Place, "data")}).Halt(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if now := rowsOf(t, h.Local); !slices.Equal(now, l.before) {
		t.Errorf("handed over: %v, before the harm: %v", now, l.before)
	}
	if now := rowsOf(t, l.URL()); !slices.Equal(now, untouched) {
		t.Error("live was changed")
	}
	for _, what := range [][]string{{"report", "show", run}, {"status", run}} {
		if got := r.run(t.Context(), what...); !strings.Contains(got.out, h.Address) {
			t.Errorf("%v does not tell of %s\n%s", what, h.Address, got.out)
		}
	}
	// Over the network nobody gets in without a password.
	if conn, err := pgx.Connect(t.Context(), strings.Replace(h.Address, "//", "//postgres@", 1)); err == nil {
		conn.Close(t.Context())
		t.Error("it lets anybody in")
	}
	conn, err := pgx.Connect(t.Context(), h.Local)
	if err != nil {
		t.Fatal(err)
	}
	refuses := func(hint string, args ...string) {
		t.Helper()
		if got := r.run(t.Context(), args...); got.code != recovery.Refused || !strings.Contains(got.err, hint) {
			t.Errorf("%v: exit %d: %s", args, got.code, got.err)
		}
	}
	refuses("--confirm "+h.Place, "expire", run, "--plain")
	if got := r.run(t.Context(), "expire", run, "--plain", "--confirm", h.Place); got.code != recovery.Refused || !strings.Contains(got.out, "is in use: it has ") {
		t.Errorf("while somebody uses it: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, h.Place) || !strings.Contains(got.out, "comeback expire "+run) {
		t.Errorf("it is not listed\n%s\n%s", got.out, got.err)
	}
	if got := r.removes(t, run, h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if pids, err := postgres.Processes(filepath.Join(h.Place, "data")); err != nil || len(pids) > 0 {
		t.Errorf("its server: %v, %v", pids, err)
	}
	refuses("comeback expire", "expire", run, "--plain", "--confirm", h.Place)
	if status := r.statusIs(t, run); strings.Contains(status, "RUNS ") || !strings.Contains(status, "GONE    "+h.Component+" of "+h.Place+": removed by run ") {
		t.Errorf("the status does not tell that it is removed:\n%s", status)
	}
}

// removes removes what was handed over, whose server lists a session until its process
// has ended.
func (r *rig) removes(t *testing.T, run, place string) output {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		got := r.run(t.Context(), "expire", run, "--plain", "--confirm", place)
		if got.code == recovery.CameBack || !strings.Contains(got.out, "is in use: it has ") || time.Now().After(end) {
			return got
		}
	}
}
