package ledger_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery/ledger"
)

// open opens a ledger and gives what it believes.
func open(t testing.TB, path, of, boot string) (*ledger.Ledger[string], []string) {
	t.Helper()
	l, past, err := ledger.Open[string](path, of, boot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, past
}

// written is a ledger with two synced entries and one that is not.
func written(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger")
	l, _ := open(t, path, "backup 1", "boot 1")
	for _, e := range []string{"a", "b"} {
		if err := l.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := l.Add("c"); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen_believes(t *testing.T) {
	for name, test := range map[string]struct {
		of, boot string
		want     []string
	}{
		"the same boot":      {"backup 1", "boot 1", []string{"a", "b", "c"}},
		"another boot":       {"backup 1", "boot 2", []string{"a", "b"}},
		"boots are not told": {"backup 1", "", []string{"a", "b"}},
		"something else":     {"backup 2", "boot 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := written(t)
			if _, past := open(t, path, test.of, test.boot); !slices.Equal(past, test.want) {
				t.Errorf("it believes %q, want %q", past, test.want)
			}
			// What was believed is durable from then on, whatever boot comes.
			if _, past := open(t, path, test.of, "boot 3"); !slices.Equal(past, test.want) {
				t.Errorf("the time after it believes %q, want %q", past, test.want)
			}
		})
	}
}

// A ledger that breaks off anywhere is believed up to there, and can be gone on
// with.
func TestOpen_torn(t *testing.T) {
	whole, err := os.ReadFile(written(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		path := filepath.Join(t.TempDir(), "ledger")
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		lines := bytes.Split(whole[:n], []byte("\n"))
		want := 0
		for _, l := range lines[:len(lines)-1] {
			if bytes.Contains(l, []byte("entry")) {
				want++
			}
		}
		l, past := open(t, path, "backup 1", "boot 1")
		if len(past) != want {
			t.Fatalf("cut at %d it believes %q", n, past)
		}
		if err := l.Add("next"); err != nil {
			t.Fatal(err)
		}
		again, err := ledger.Read[string](path, "backup 1", "boot 1")
		if err != nil || len(again) != want+1 || again[want] != "next" {
			t.Fatalf("cut at %d and gone on it holds %q, %v", n, again, err)
		}
	}
}

// What is forgotten is not believed, and may be forgotten again.
func TestForget(t *testing.T) {
	path := written(t)
	for range 2 {
		if err := ledger.Forget(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, past := open(t, path, "backup 1", "boot 1"); len(past) > 0 {
		t.Errorf("it believes %q", past)
	}
	if err := ledger.Forget(filepath.Join(path, "ledger")); err == nil {
		t.Error("a ledger that cannot be removed is forgotten")
	}
}

func TestBoot(t *testing.T) {
	if b := ledger.Boot(); b != strings.TrimSpace(b) || b != ledger.Boot() {
		t.Errorf("the boot is %q", b)
	}
}

func FuzzRead(f *testing.F) {
	whole, err := os.ReadFile(written(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"ledger":{"of":"backup 1","boot":"b"}}` + "\n" + `{"synced":7}` + "\n"))
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "ledger")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		same, err := ledger.Read[string](path, "backup 1", "boot 1")
		if err != nil {
			t.Fatal(err)
		}
		other, err := ledger.Read[string](path, "backup 1", "boot 2")
		if err != nil || len(other) > len(same) && bytes.Contains(b, []byte("boot 1")) && !bytes.Contains(b, []byte("boot 2")) {
			t.Errorf("another boot believes %q, the same %q, %v", other, same, err)
		}
		if len(same) > bytes.Count(b, []byte("\n")) {
			t.Errorf("%d entries in %d lines", len(same), bytes.Count(b, []byte("\n")))
		}
	})
}

// A link that somebody has put in the new ledger's place leads nowhere.
func TestOpen_link(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ledger")
	if err := os.Symlink(victim, path+".new"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ledger.Open[int](path, "a", "b"); err == nil {
		t.Error("it was opened")
	}
	if b, err := os.ReadFile(victim); string(b) != "keep" || err != nil {
		t.Errorf("the victim holds %q, %v", b, err)
	}
}
