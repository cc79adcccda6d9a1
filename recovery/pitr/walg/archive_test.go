package walg_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walg/walgtest"
	"comeback/storage"
)

// behind writes a program that is started in the place of WAL-G: what it does is a text for
// sh, in which $WALG is WAL-G and $NOTES a file that it may write to.
func (s *source) behind(t *testing.T, does string) (program, notes string) {
	t.Helper()
	name := strings.ReplaceAll(strings.ReplaceAll(t.Name(), "/", "-"), " ", "-")
	program, notes = "bin/"+name, "bin/"+name+".notes"
	text := fmt.Sprintf("#!/bin/sh\nWALG=%s NOTES=%s\n%s\n", s.Program, s.Path(notes), does)
	if err := errors.Join(s.Write(program, text, 0o755), s.Write(notes, "", 0o644)); err != nil {
		t.Fatal(err)
	}
	return s.Path(program), s.Path(notes)
}

// The whole log is listed once by a survey, a choice of a moment, a scan, a count of what is
// lost and a restore, however many files are asked for that are not there.
func TestListings(t *testing.T) {
	s := theShop(t)
	program, notes := s.behind(t, `"$WALG" "$@"; code=$?; echo "$1 $code" >>"$NOTES"; exit $code`)
	e, store, c := engineOf(program, ""), s.Store(t, "plain"), s.component("plain.json", nil)
	calls := func() (n map[string]int) {
		t.Helper()
		text, err := os.ReadFile(notes)
		if err = errors.Join(err, os.Truncate(notes, 0)); err != nil {
			t.Fatal(err)
		}
		n = map[string]int{}
		for line := range strings.Lines(string(text)) {
			n[strings.TrimSpace(line)]++
		}
		return n
	}
	once := func(what string) map[string]int {
		t.Helper()
		n := calls()
		if n["wal-show 0"] != 1 {
			t.Errorf("%s: the log was listed %d times: %v", what, n["wal-show 0"], n)
		}
		return n
	}
	survey := pitrtest.Surveyed(t, e, c, store)
	once("survey")
	p := pitrtest.Resolved(t, e, survey, store, "latest")
	once("resolve")
	o := recovery.ScanOptions{Component: c, Store: store, Survey: survey}
	for _, err := range e.(recovery.Scanner).Scan(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
	}
	once("scan")
	if _, err := e.(recovery.Loser).Loss(t.Context(), o, pitrtest.Resolved(t, e, survey, store, survey.Backups[0].ID)); err != nil {
		t.Fatal(err)
	}
	calls() // that of the moment is among them
	var got outcome
	options := s.options(c, p, store, &got)
	options.Engine = e
	if state := enginetest.Restore(t, options); state.Result != recovery.ResultPassed {
		says, hint := enginetest.Failure(state)
		t.Fatalf("the run ended as %s: %s (%s)", state.Result, says, hint)
	}
	if n := once("restore"); n["wal-fetch 74"] < 2 {
		t.Errorf("only %d files were asked for that are not there: %v", n["wal-fetch 74"], n)
	}
}

// A storage that is gone has no file that is missing: whatever is asked of it fails, to be
// tried again.
func TestGone(t *testing.T) {
	s := theShop(t)
	dir, c := s.damaged(t)
	e, store := s.engine(""), s.Store(t, dir)
	survey := pitrtest.Surveyed(t, e, c, store)
	for _, folder := range []string{"wal_005", "basebackups_005"} {
		if err := os.Rename(s.Path(dir+"/"+folder), s.Path(dir+"-"+folder)); err != nil {
			t.Fatal(err)
		}
	}
	holder := e.(interface {
		Holds(ctx context.Context, s recovery.Survey, store storage.Store, segment string) (bool, error)
	})
	for name, segment := range map[string]string{"one that was there": "00000001" + survey.Backups[0].ID[len("base_00000001"):len("base_")+24], "one that was not": "000000010000000100000000"} {
		held, err := holder.Holds(t.Context(), survey, store, segment)
		if held || !errors.Is(err, storage.ErrUnavailable) || recovery.HintOf(err) == "" {
			t.Errorf("%s: %v, %v (%s)", name, held, err, recovery.HintOf(err))
		}
	}
}

// Older versions of WAL-G say nothing and end well both where there is no backup and where
// they could not list them. Only the former is that there is none.
func TestSilentList(t *testing.T) {
	s := theShop(t)
	survey := func(t *testing.T, dir string, c recovery.Component, does string) (recovery.Survey, error) {
		program, _ := s.behind(t, does+`; exec "$WALG" "$@"`)
		store := s.Store(t, dir)
		return engineOf(program, "").Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
	}
	const silent, broken = `[ "$1" != backup-list ] || exit 0`, `[ "$1 $2" != "st ls" ] || { echo "ERROR: 2026/11/29 00:01:03.000000 RequestError: send request failed" >&2; exit 1; }`
	for name, does := range map[string]string{"for a moment": silent, "still": silent + "; " + broken} {
		t.Run(name, func(t *testing.T) {
			if got, err := survey(t, "plain", s.component("plain.json", nil), does); !errors.Is(err, storage.ErrUnavailable) || recovery.HintOf(err) == "" {
				t.Errorf("the network fails, and there is %+v, %v (%s)", got, err, recovery.HintOf(err))
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		dir, c := s.damaged(t)
		all, err := filepath.Glob(s.Path(dir + "/basebackups_005/*"))
		for _, path := range all {
			err = errors.Join(err, os.RemoveAll(path))
		}
		if err != nil || len(all) == 0 {
			t.Fatal(all, err)
		}
		got, err := survey(t, dir, c, silent)
		if err != nil || len(got.Backups) > 0 || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Says, "no base backup") {
			t.Errorf("there is %+v, %v", got, err)
		}
	})
}

// A connection that breaks while a file is fetched, and a file that is cut off, end in the
// same words of WAL-G. The one is told as a failure to be tried again, the other as damage,
// and none as the end of the log.
func TestUnexpectedEOF(t *testing.T) {
	s := theShop(t)
	segments := func(dir string) []string {
		all, err := filepath.Glob(s.Path(dir + "/wal_005/????????????????????????.lz4"))
		if err != nil || len(all) < 8 {
			t.Fatalf("%d segments, %v", len(all), err)
		}
		slices.Sort(all)
		return all
	}
	scanned := func(e recovery.Engine, c recovery.Component, store storage.Store, survey recovery.Survey) (failed error) {
		for _, err := range e.(recovery.Scanner).Scan(t.Context(), recovery.ScanOptions{Component: c, Store: store, Survey: survey}) {
			failed = err
		}
		return failed
	}
	t.Run("a connection", func(t *testing.T) {
		all := segments("plain")
		for name, path := range map[string]string{"in the log": all[len(all)-4], "at its end": all[len(all)-1]} {
			t.Run(name, func(t *testing.T) {
				program, _ := s.behind(t, fmt.Sprintf(`[ "$1 $2" != "wal-fetch %s" ] || { echo "ERROR: 2026/11/29 00:01:03.000000 unexpected EOF" >&2; exit 1; }; exec "$WALG" "$@"`, filepath.Base(path)[:24]))
				e, store, c := engineOf(program, ""), s.Store(t, "plain"), s.component("plain.json", nil)
				survey := pitrtest.Surveyed(t, e, c, store)
				for _, w := range survey.Windows {
					if len(w.Gaps) > 0 {
						t.Errorf("the window is %+v", w)
					}
				}
				err := scanned(e, c, store, survey)
				if !errors.Is(err, pitr.ErrUncertain) || errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotExist) || !strings.HasPrefix(recovery.HintOf(err), "try again") {
					t.Errorf("reading the log ended with %v (%s)", err, recovery.HintOf(err))
				}
			})
		}
	})
	t.Run("a file", func(t *testing.T) {
		dir, c := s.damaged(t)
		all := segments(dir)
		if err := os.Truncate(all[len(all)-4], 1000); err != nil {
			t.Fatal(err)
		}
		e, store := s.engine(walgtest.Key), s.Store(t, dir)
		if err := scanned(e, c, store, pitrtest.Surveyed(t, e, c, store)); err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "is cut off in the storage") {
			t.Errorf("reading the log ended with %v", err)
		}
	})
}
