package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/journal/journaltest"
)

const runbook = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

var at = time.Date(2026, 11, 23, 2, 57, 20, 0, time.FixedZone("", 3600))

// write makes a journal of n notes and returns its path and bytes.
func write(t *testing.T, n int) (string, []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), journal.Name)
	j, err := journal.Create(path, runbook)
	if err != nil {
		t.Fatal(err)
	}
	appendNotes(t, j, n)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path, read(t, path)
}

func appendNotes(t *testing.T, j *journal.Journal, n int) {
	t.Helper()
	for i := range n {
		e, err := recovery.NewEvent(at.Add(time.Duration(i)*time.Second), recovery.Noted{Text: "so far so good", By: "ops1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestJournal_continues(t *testing.T) {
	path, _ := write(t, 3)
	j, events, err := journal.Open(path, runbook)
	if err != nil || len(events) != 3 {
		t.Fatalf("Open: %d events, %v", len(events), err)
	}
	before, _, err := journal.Head(path)
	if err != nil {
		t.Fatal(err)
	}
	appendNotes(t, j, 2)
	j.Close()
	events, err = journal.Read(path, runbook)
	if err != nil || len(events) != 5 {
		t.Fatalf("Read: %d events, %v", len(events), err)
	}
	head, entries, err := journal.Head(path)
	if err != nil || entries != 5 || head == before {
		t.Errorf("Head: %s %d %v, before it was %s", head, entries, err, before)
	}
	for digest, want := range map[string]bool{before: true, head: true, strings.Repeat("0", 64): false} {
		if is, err := journal.Holds(path, digest); err != nil || is != want {
			t.Errorf("it holds %s: %v, %v", digest, is, err)
		}
	}
}

// Wherever a crash cuts the file inside its last line, that line alone is lost.
func TestOpen_mendsATornTail(t *testing.T) {
	_, whole := write(t, 3)
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for cut := last + 1; cut < len(whole); cut++ {
		path := filepath.Join(t.TempDir(), journal.Name)
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if events, err := journal.Read(path, runbook); !errors.Is(err, journal.ErrTorn) || len(events) != 2 {
			t.Fatalf("cut at %d: Read gave %d events, %v", cut, len(events), err)
		}
		j, events, err := journal.Open(path, runbook)
		if err != nil || len(events) != 2 {
			t.Fatalf("cut at %d: Open gave %d events, %v", cut, len(events), err)
		}
		appendNotes(t, j, 1)
		j.Close()
		if events, err := journal.Read(path, runbook); err != nil || len(events) != 3 {
			t.Fatalf("cut at %d: mended journal has %d events, %v", cut, len(events), err)
		}
	}
}

// Damage anywhere else is an error that names the line, and the file is left
// as it is.
func TestOpen_namesDamage(t *testing.T) {
	_, whole := write(t, 4)
	lines := bytes.SplitAfter(whole, []byte("\n"))[:4]
	join := func(l ...[]byte) []byte { return bytes.Join(l, nil) }
	for name, c := range map[string]struct {
		corrupt []byte
		says    string
	}{
		"changed byte":              {bytes.Replace(whole, []byte("so far"), []byte("so FAR"), 1), "line 2"},
		"line missing":              {join(lines[0], lines[2], lines[3]), "line 2"},
		"first missing":             {join(lines[1:]...), "line 1"},
		"lines exchanged":           {join(lines[0], lines[2], lines[1], lines[3]), "line 2"},
		"line doubled":              {join(lines[0], lines[1], lines[1], lines[2]), "line 3"},
		"empty line":                {join(lines[0], []byte("\n"), lines[1]), "line 2"},
		"garbage at end":            {append(bytes.Clone(whole), "garbage\n"...), "line 5"},
		"data after the last event": {append(bytes.Clone(whole[:len(whole)-1]), " {\"x\":1}\n"...), "line 4"},
		"field added":               {bytes.Replace(whole, []byte(`{"seq":3`), []byte(`{"x":1,"seq":3`), 1), "line 3"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), journal.Name)
			if err := os.WriteFile(path, c.corrupt, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := journal.Open(path, runbook)
			if err == nil || errors.Is(err, journal.ErrTorn) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Open: %v, want an error that names %s", err, c.says)
			}
			if !bytes.Equal(read(t, path), c.corrupt) {
				t.Error("Open changed a damaged journal")
			}
		})
	}
}

func TestRead_otherRunbook(t *testing.T) {
	path, _ := write(t, 1)
	if _, err := journal.Read(path, strings.Repeat("0", 64)); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a journal of another runbook: %v", err)
	}
}

func TestCreate_neverReplaces(t *testing.T) {
	path, before := write(t, 1)
	if _, err := journal.Create(path, runbook); !errors.Is(err, os.ErrExist) {
		t.Errorf("Create over a journal: %v", err)
	}
	if !bytes.Equal(read(t, path), before) {
		t.Error("Create changed the journal")
	}
}

// A full disk must not break the chain: the failed line leaves nothing behind.
func TestJournal_fullDisk(t *testing.T) {
	path, before := write(t, 1)
	j, _, err := journal.Open(path, runbook)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	journaltest.LimitFileSize(t, int64(len(before))+10, func() {
		e, err := recovery.NewEvent(at, recovery.Noted{Text: "no room for this", By: "ops1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(e); err == nil {
			t.Error("Append past the limit succeeded")
		}
	})
	if !bytes.Equal(read(t, path), before) {
		t.Error("a failed Append left something behind")
	}
	appendNotes(t, j, 1)
	if events, err := journal.Read(path, runbook); err != nil || len(events) != 2 {
		t.Errorf("after room was made: %d events, %v", len(events), err)
	}
}
