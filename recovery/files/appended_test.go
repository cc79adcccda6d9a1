package files_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
)

// appended is what tar writes of a tree that a script makes, and appends after each other
// script.
func appended(t testing.TB, scripts ...string) []byte {
	t.Helper()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "a.tar")
	for i, script := range scripts {
		how := "-r"
		if i == 0 {
			how = "-c"
		}
		cmd := exec.Command("sh", "-e", "-c", script+"\ntar "+how+` -f "$0" .`, to)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// extracted is what tar makes of an archive; ok is false where it fails.
func extracted(t testing.TB, archive []byte) (tree string, ok bool) {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join(t.TempDir(), "a.tar")
	if err := os.WriteFile(from, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "-C", dir, "-xpf", from).CombinedOutput()
	if err != nil {
		t.Logf("tar: %v: %s", err, out)
	}
	return describe(t, dir), err == nil
}

// everyTurn are scripts after each of which an archive is appended to: each name becomes
// something else and is written again.
var everyTurn = []string{
	"echo old > a; ln a b; ln -s a l; ln -P l m; echo old > f; echo old > p; ln p q; mkdir d e; echo old > g; mkdir h; echo old > h/old; ln -s d i",
	"rm b l f g i; echo 'new b' > b; echo 'new l' > l; ln -s a f; mkdir g i; echo in > g/in; echo in > i/in; ln -s e g/link; echo 'new p' > p.new; mv p.new p; chmod 700 d",
	"rmdir d e; echo now > d; ln -s a e; echo newest > l; chmod 640 l; rm q; ln p q; ln p r",
	"rm a; echo 'new a' > a; rm r; ln -s q r; rm -r g i; ln -s a k",
}

// An archive that was appended to gives what tar gives: what is in it last.
func TestRestore_appended(t *testing.T) {
	for name, scripts := range map[string][]string{
		"links become files":              {"echo old > a; ln a b; ln -s a l", "rm b l; echo 'new b' > b; echo 'new l' > l"},
		"links become files, and links":   {"echo old > a; ln a b; ln -s a l", "rm b l; echo new > b; echo new > l", "rm b l; ln -s l b; ln a l"},
		"what a hard link led to":         {"echo old > a; ln a b", "rm a; echo new > a; rm b"},
		"both names of a hard link":       {"echo old > a; ln a b", "rm a b; echo new > a; ln a b"},
		"a link to a link":                {"ln -s o x; ln -P x z", "rm x z; echo new > x"},
		"files become links":              {"echo old > a; echo old > b; ln b c", "rm b; ln -s a b; rm c"},
		"a file becomes a directory":      {"echo old > x", "rm x; mkdir x; chmod 750 x; echo y > x/y; mkdir x/z; echo z > x/z/z"},
		"a file, a directory, a file":     {"echo old > x", "rm x; mkdir x", "rmdir x; echo new > x"},
		"a directory becomes a file":      {"mkdir x; chmod 700 x", "rmdir x; echo new > x"},
		"a directory becomes a link":      {"mkdir o x; chmod 700 x", "rmdir x; ln -s o x"},
		"a link becomes a directory":      {"mkdir o; ln -s o x", "rm x; mkdir x; chmod 700 x; echo y > x/y"},
		"a directory, with another mode":  {"mkdir x; chmod 500 x", "chmod 755 x", "chmod 711 x"},
		"a full directory becomes a file": {"mkdir x; echo y > x/y", "rm -r x; echo new > x"},
		"a full directory becomes a link": {"mkdir x; echo y > x/y", "rm -r x; ln -s o x"},
		"a link becomes a program":        {"ln -s a l", "rm l; echo new > l; chmod 4755 l"},
		"everything":                      everyTurn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive := appended(t, scripts...)
			want, ok := extracted(t, archive)
			end, restored := restore(t, options(t, engine(), component, directory(t, map[string][]byte{"a.tar": archive})))
			if !ok {
				if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "and a directory") && !strings.Contains(says, "is a directory and") || hint == "" {
					t.Errorf("tar cannot bring it back, and the run ended as %s: %s (%s)", end.Result, says, hint)
				}
				return
			}
			passed(t, end)
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An archive that was appended to comes back the same when its restore is cut off.
func TestSurvive_appended(t *testing.T) {
	enginetest.Survive(t, crashing(t, engine(), component, map[string][]byte{"a.tar": appended(t, everyTurn...)}))
}
