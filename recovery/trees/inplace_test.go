package trees

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
)

// What was handed over is put in live's place by the commands that its step tells, whatever the
// paths are called; what was there stays beside, and nothing is replaced twice.
func TestInPlace(t *testing.T) {
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			return ""
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		live            []string          // paths of the component
		restored, there map[string]string // files of the tree, and live ones
		want            map[string]string // live ones afterwards
		commands        int
	}{
		"a directory": {[]string{"up loads"}, map[string]string{"a": "new"}, map[string]string{"up loads/a": "old", "up loads/b": "old"},
			map[string]string{"up loads/a": "new", "up loads/b": "", "up loads.old-7c31/a": "old", "up loads.old-7c31/b": "old", "up loads.new-7c31/a": ""}, 2},
		"a name that a shell reads": {[]string{"it's $HOME; `x`"}, map[string]string{"a": "new"}, map[string]string{"it's $HOME; `x`/a": "old"},
			map[string]string{"it's $HOME; `x`/a": "new", "it's $HOME; `x`.old-7c31/a": "old"}, 2},
		"nothing live":       {[]string{"srv/uploads"}, map[string]string{"a": "new"}, nil, map[string]string{"srv/uploads/a": "new"}, 1},
		"one file":           {[]string{"etc/shop.conf"}, map[string]string{"shop.conf": "new"}, map[string]string{"etc/shop.conf": "old", "etc/other": "old"}, map[string]string{"etc/shop.conf": "new", "etc/other": "old", "etc/shop.conf.old-7c31": "old"}, 2},
		"one file, gone":     {[]string{"etc/shop.conf"}, map[string]string{"shop.conf": "new"}, nil, map[string]string{"etc/shop.conf": "new"}, 1},
		"several":            {[]string{"etc/shop", "etc/web/shop.conf"}, map[string]string{"shop/a": "new", "web/shop.conf": "new"}, map[string]string{"etc/shop/a": "old"}, map[string]string{"etc/shop/a": "new", "etc/shop.old-7c31/a": "old", "etc/web/shop.conf": "new"}, 3},
		"one in another":     {[]string{"etc/shop", "etc/shop/web", "etc/shop"}, map[string]string{"shop/web/a": "new"}, map[string]string{"etc/shop/web/a": "old"}, map[string]string{"etc/shop/web/a": "new", "etc/shop.old-7c31/web/a": "old"}, 2},
		"newer than the log": {[]string{"etc/shop", "etc/late"}, map[string]string{"shop/a": "new"}, map[string]string{"etc/late/a": "old"}, map[string]string{"etc/shop/a": "new", "etc/late/a": "old"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := handOverArgs{Component: "uploads", Run: "7c31", Place: filepath.Join(dir, "comeback-7c31.uploads")}
			for _, path := range c.live {
				a.Live = append(a.Live, filepath.Join(dir, path))
			}
			for path, text := range c.restored {
				write(filepath.Join(a.tree(), path), text)
			}
			for path, text := range c.there {
				write(filepath.Join(dir, path), text)
			}
			commands := recovery.Outcome{Facts: a.inPlace(true)}.InPlace()
			if len(commands) != c.commands {
				t.Fatalf("commands: %q", commands)
			}
			for i, command := range commands {
				if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", command, err, out)
				}
				if i == 0 && len(c.there) > 0 && strings.HasPrefix(command, "cp -aT") {
					for path, text := range c.there {
						if got := read(filepath.Join(dir, path)); got != text {
							t.Errorf("the copy beside has made %s %q", path, got)
						}
					}
				}
			}
			for path, text := range c.want {
				if got := read(filepath.Join(dir, path)); got != text {
					t.Errorf("%s holds %q, want %q", path, got, text)
				}
			}
			for path, text := range c.restored {
				if got := read(filepath.Join(a.tree(), path)); got != text {
					t.Errorf("the restored %s holds %q", path, got)
				}
			}
			if last := commands[len(commands)-1]; strings.HasPrefix(last, "test ") {
				if out, err := exec.CommandContext(t.Context(), "sh", "-c", last).CombinedOutput(); err == nil {
					t.Errorf("given twice, %s does it again: %s", last, out)
				}
			}
		})
	}
	for _, live := range [][]string{nil, {"uploads"}, {"/"}, {"${UPLOADS}"}, {"/srv/a\nb"}} {
		if parts := (handOverArgs{Live: live}).parts(); parts != nil {
			t.Errorf("of %q: %v", live, parts)
		}
	}
}

// The root of a tree that its backup does not describe is as private as it was made: in live's
// place it gets the mode of what it replaces.
func TestInPlace_undescribed(t *testing.T) {
	dir := t.TempDir()
	a := handOverArgs{Component: "pages", Run: "7c31", Place: filepath.Join(dir, "comeback-7c31.pages"), Live: []string{filepath.Join(dir, "pages")}}
	for path, mode := range map[string]os.FileMode{a.tree(): 0o700, a.Live[0]: 0o755} {
		if err := os.MkdirAll(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	scratch := filepath.Join(dir, "scratch", "tree")
	if err := os.MkdirAll(filepath.Dir(scratch), 0o700); err != nil {
		t.Fatal(err)
	}
	if undescribed(scratch) {
		t.Error("where nothing is said the root is not described")
	}
	if err := os.WriteFile(filepath.Join(dir, "scratch", recovery.UndescribedFile), []byte("2026\x00.\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := recovery.Outcome{Facts: a.inPlace(undescribed(scratch))}.InPlace()
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Join(commands, " && ")).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", commands, err, out)
	}
	if info, err := os.Stat(a.Live[0]); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("what took live's place: %v, %v", info, err)
	}
	if told := recovery.SayInPlace(commands); !slices.Equal(told, []string{"in live's place: " + commands[0], "then: " + commands[1]}) {
		t.Errorf("told as %q", told)
	}
}
