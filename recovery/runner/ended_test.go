package runner_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
)

// hasEnded is a recovery that has come to its end.
func hasEnded(t *testing.T) runner.Options {
	t.Helper()
	h := newHold()
	close(h.release)
	o := options(runner.Home{Dir: t.TempDir()}, t.TempDir(), h)
	o.Plan.Mode = recovery.Recovery
	run, err := start(t.Context(), o)
	if err == nil {
		_, err = run.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// What is said of the outage goes into the journal, and not into one that somebody has signed
// by then, be it since the first look for a signature.
func TestNoteOutage(t *testing.T) {
	o := hasEnded(t)
	dir := o.Home.RunDir("7c31")
	path, began := filepath.Join(dir, journal.Name), o.Now().Add(-time.Hour)
	outage := recovery.OutageNoted{Since: began, How: "exact"}
	before := read(t, path)
	late := o
	late.Now = func() time.Time {
		if err := os.WriteFile(filepath.Join(dir, recovery.SignatureFile), []byte("signed"), 0o600); err != nil {
			t.Error(err)
		}
		return o.Now()
	}
	if _, err := runner.NoteOutage(late, outage); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "is signed, and is not changed any more") {
		t.Errorf("somebody has signed meanwhile: %v", err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("the journal that is signed was changed")
	}
	if err := os.Remove(filepath.Join(dir, recovery.SignatureFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := runner.NoteOutage(o, outage); err != nil {
		t.Fatal(err)
	}
	if p, err := o.Home.Load("7c31"); err != nil || !p.State.Outage.Since.Equal(began) {
		t.Errorf("the outage began %s, %v", p.State.Outage.Since, err)
	}
}

// Of several people who say at once what is done, nobody is forgotten.
func TestHome_Settle(t *testing.T) {
	o := hasEnded(t)
	const people = 8
	var all sync.WaitGroup
	errs := make([]error, people)
	for i := range people {
		all.Go(func() {
			errs[i] = o.Home.Settle("7c31", runner.Settlement{ToDo: fmt.Sprint("to do ", i), By: fmt.Sprint("ops", i), At: o.Now()})
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if p, err := o.Home.Load("7c31"); err != nil || p.Problem != nil || len(p.Settled) != people {
		t.Errorf("it stands: %v, %v, %v", p.Settled, err, p.Problem)
	}
}
