package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// Hosts that share a state see each other's runs, and leave alone what those have made: it is
// not there, and would count as gone.
func TestStop_anotherHost(t *testing.T) {
	r, book := newRig(t), pictures(t)
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	kept := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "rehearse", book, "--plain", "--keep").has(t, recovery.WithExceptions)
	}))
	r.environ["COMEBACK_TEST_KILL"] = "after:step.started/1 uploads.restore"
	died := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "rehearse", book, "--plain").has(t, recovery.NotEnded)
	}))
	delete(r.environ, "COMEBACK_TEST_KILL")
	r.runnersEnd(t)

	r.rebooted(t)
	r.environ[hostEnv] = "the-other"
	for _, args := range [][]string{{"stop", kept}, {"stop", died}, {"resume", died, "--plain", "--unattended"}} {
		path := filepath.Join(r.state, "runs", args[1], journal.Name)
		before := read(t, path)
		code, said := r.process(t, args...).ends()
		output{recovery.Exit(code), said, ""}.has(t, recovery.Refused, "refused: run "+args[1]+" was carried out on ", "and this is the-other", "comeback "+args[0]+" "+args[1]+"; ")
		if !bytes.Equal(read(t, path), before) {
			t.Errorf("%v: the journal was changed", args)
		}
	}
	if runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*")); err != nil || len(runs) != 2 {
		t.Errorf("runs: %q, %v", runs, err)
	}
	delete(r.environ, hostEnv)
	delete(r.environ, bootEnv)
	r.stop(t, kept, recovery.CameBack, "everything that run "+kept+" still held is given back")
	r.stop(t, died, recovery.CameBack, "report: ")
}
