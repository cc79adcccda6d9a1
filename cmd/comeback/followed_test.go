package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/rescue"
	"comeback/recovery/runner"
)

// A setting that an earlier version took, and that has nothing to do with it, neither stops
// the archiving of a server's log nor keeps a rescue from being taken back; what begins by the
// runbook refuses it.
func TestOpenFollowed(t *testing.T) {
	t.Parallel()
	ctx, r, place := t.Context(), newRig(t), t.TempDir()
	const segment = "000000010000000000000001"
	path, book, copy := filepath.Join(place, segment), filepath.Join(place, "runbook.md"), filepath.Join(place, "copy")
	text := "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n  nearby: {url: \"file://" + copy + "\"}\n" +
		"components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", keep: 14, dump_jobs: 65}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n"
	log := bytes.Repeat([]byte("log"), 5000)
	if err := errors.Join(os.Mkdir(copy, 0o700), os.WriteFile(book, []byte(text), 0o600), os.WriteFile(path, log, 0o600)); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "wal", "push", book, path).has(t, recovery.CameBack)
	r.run(ctx, "wal", "fetch", book, segment, path+".back").has(t, recovery.CameBack)
	if got, err := os.ReadFile(path + ".back"); err != nil || !bytes.Equal(got, log) {
		t.Errorf("the segment that came back has %d bytes, %v", len(got), err)
	}
	// Neither the lack of all log nor that of another program's form is the end of the log.
	for was, now := range map[string]string{"keep: 14": "wal: elsewhere", "kind: postgres,": "kind: postgres, with: pgbackrest,"} {
		other := filepath.Join(place, "other.md")
		if err := os.WriteFile(other, []byte(strings.Replace(text, was, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(ctx, "wal", "fetch", other, segment, path+".other").has(t, fetchFailed)
	}
	for _, args := range [][]string{{"runbook", "lint", book}, {"rehearse", book, "--dry-run"}, {"recover", book, "--dry-run"}, {"backup", book}, {"check", book}} {
		if got := r.run(ctx, args...); got.code == recovery.CameBack || !strings.Contains(got.out+got.err, "`keep: 14`") || !strings.Contains(got.out+got.err, "`dump_jobs: 65`") {
			t.Errorf("%s: exit %d\n%s%s", args[0], got.code, got.out, got.err)
		}
	}

	var rescued recovery.State
	step := recovery.StepState{Step: recovery.NewStep("apply", rescue.KindApply, "bring the rows back", rescue.Args{Component: "database"}), State: recovery.Done}
	step.Outcome.Facts = map[string]string{rescue.FactUndo: "undo.sql", rescue.FactUndoSHA256: sumOf(nil)}
	rescued.Steps = []recovery.StepState{step}
	_, _, err := r.app(io.Discard, io.Discard).planUndo(ctx, runner.Past{ID: "7c31", Dir: place, Plan: &recovery.Plan{Runbook: recovery.Source{Path: book, SHA256: sumOf([]byte(text))}}, State: rescued}, false)
	if err == nil || !strings.Contains(err.Error(), "find the component database") { // which comes after the runbook was read
		t.Errorf("the undo of a rescue: %v", err)
	}
}
