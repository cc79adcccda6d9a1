package report

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comeback/recovery"
)

var update = flag.Bool("update", false, "write the runs that testdata/runs does not have yet")

// The runs under testdata are kept as they were written, whole: a later version
// must make the same report of them, byte by byte, or give the report another
// format number. So none of them is ever written again: what no version has
// released is removed by hand.
func TestWrite_golden(t *testing.T) {
	runs := map[string]func(testing.TB) *run{
		"passed":      func(t testing.TB) *run { return passed(t, nil) },
		"exceptions":  withExceptions,
		"failed":      failed,
		"interrupted": interrupted,
		"unknown":     unknownEvent,
		"recovery":    forReal,
		"resumed":     resumed,
		"amended":     amended,
		"protected":   protectedLater,
		"given-back": func(t testing.TB) *run {
			r := givenBack(t, "open", 4)
			r.after(time.Minute, recovery.OutageNoted{Since: noon.Add(-3 * time.Minute), How: "estimated", By: "ops2"})
			return r
		},
		"side-by-side":   func(t testing.TB) *run { return sideBySide(t, false, 4) },
		"side-by-side-3": func(t testing.TB) *run { return sideBySide(t, false, 3) },
		"held-back":      heldBack,
		"clock-stepped":  clockStepped,
	}
	for name, build := range runs {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "runs", name)
			if _, err := os.Stat(golden); *update && errors.Is(err, fs.ErrNotExist) {
				r := build(t)
				_, err := Write(r.dir)
				must(t, err)
				must(t, os.CopyFS(golden, os.DirFS(r.dir)))
			}
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(golden)))
			for _, name := range []string{JSONFile, MarkdownFile, SumsFile} {
				must(t, os.Remove(filepath.Join(dir, name)))
			}
			r, err := Write(dir)
			must(t, err)
			for _, name := range []string{JSONFile, MarkdownFile, SumsFile} {
				want, err := os.ReadFile(filepath.Join(golden, name))
				must(t, err)
				got, err := os.ReadFile(filepath.Join(dir, name))
				must(t, err)
				if !bytes.Equal(got, want) {
					t.Errorf("%s differs from %s, which is as a version has written it: %s", name, golden, firstLine(got, want))
				}
			}
			if got, want := r.Passed, slices.Contains([]string{"passed", "recovery", "resumed", "protected", "held-back"}, name); got != want {
				t.Errorf("passing is %v, want %v: %q", got, want, r.Against)
			}
		})
	}
}

func firstLine(got, want []byte) string {
	g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return "got " + string(g[i]) + ", want " + string(w[i])
		}
	}
	return "one is longer"
}

func TestWrite_twiceGivesTheSameBytes(t *testing.T) {
	r := withExceptions(t)
	read := func() map[string]string {
		_, err := Write(r.dir)
		must(t, err)
		files := map[string]string{}
		for _, name := range []string{JSONFile, MarkdownFile, SumsFile} {
			b, err := os.ReadFile(filepath.Join(r.dir, name))
			must(t, err)
			files[name] = string(b)
		}
		return files
	}
	first := read()
	r.write(tempPrefix+"1234", "what an interrupted write left")
	second := read()
	for name := range first {
		if first[name] != second[name] {
			t.Errorf("%s differs the second time", name)
		}
	}
	left, err := os.ReadDir(r.dir)
	must(t, err)
	for _, f := range left {
		if info, err := f.Info(); err != nil || !f.IsDir() && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), info.Mode(), err)
		}
		if len(f.Name()) > len(tempPrefix) && f.Name()[:len(tempPrefix)] == tempPrefix {
			t.Errorf("%s is left", f.Name())
		}
	}
}

func TestWrite_refusesARunThatGoesOn(t *testing.T) {
	r := begin(t, shopPlan(recovery.Rehearsal))
	r.after(0, r.started())
	r.items()
	_, err := Write(r.dir)
	wantError(t, err, "has not ended")
	if recovery.ExitOf(err) != recovery.NotEnded {
		t.Errorf("exit %d", recovery.ExitOf(err))
	}
	if exists(filepath.Join(r.dir, JSONFile)) {
		t.Error("it wrote a report all the same")
	}
	made, err := Make(r.dir)
	must(t, err)
	if made.Passed || made.Ended() || made.Headline != "NOT ENDED" {
		t.Errorf("the report of a run that goes on: %+v", made.Headline)
	}
}
