package trees

import (
	"errors"
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
			commands := recovery.Outcome{Facts: a.inPlace("", true)}.InPlace()
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
		if parts := (handOverArgs{Live: live}).parts(""); parts != nil {
			t.Errorf("of %q: %v", live, parts)
		}
	}
}

// A tree takes the place of what it is a copy of and of nothing else: where the paths are others
// than when the backup was taken, or it holds them by longer names than it would, no command is
// told; of the first it is said what it is.
func TestInPlace_anotherDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		live, restored []string // paths of the component, and files of the tree
		of             string   // what its backup tells that the tree is a copy of
		parts          []string // where the tree, or what of it, goes
	}{
		"as it was":                 {[]string{"srv/app"}, []string{"app/a"}, "srv/app", []string{"srv/app"}},
		"a file, as it was":         {[]string{"etc/shop.conf"}, []string{"shop.conf"}, "etc", []string{"etc/shop.conf"}},
		"several, as they were":     {[]string{"etc/shop", "etc/web"}, []string{"shop/a", "web/a"}, "etc", []string{"etc/shop", "etc/web"}},
		"of what is above":          {[]string{"etc/shop"}, []string{"shop/a", "web/a"}, "etc", nil},
		"of what is below":          {[]string{"etc"}, []string{"a"}, "etc/shop", nil},
		"several, of what is above": {[]string{"srv/etc/shop", "srv/etc/web"}, []string{"shop/a"}, "srv", nil},
		"not told":                  {[]string{"etc/shop"}, []string{"a", "etc/a"}, "", []string{"etc/shop"}},
		"whole paths":               {[]string{"etc/shop"}, []string{"etc/shop/a"}, "", nil},
		"its own name":              {[]string{"etc/shop"}, []string{"shop/a"}, "", nil},
		"a file by its whole path":  {[]string{"etc/shop.conf"}, []string{"etc/shop.conf"}, "", nil},
		"several by whole paths":    {[]string{"etc/shop", "etc/web"}, []string{"etc/shop/a", "shop/b"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(paths []string) (all []string) {
				for _, path := range paths {
					all = append(all, filepath.Join(dir, path))
				}
				return all
			}
			a, of := handOverArgs{Component: "config", Place: filepath.Join(dir, "handed"), Live: in(c.live)}, ""
			if c.of != "" {
				of = filepath.Join(dir, c.of)
			}
			for _, path := range c.restored {
				path = filepath.Join(a.tree(), path)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			var goes []string
			for _, p := range a.parts(of) {
				goes = append(goes, p.live)
			}
			if !slices.Equal(goes, in(c.parts)) {
				t.Errorf("it goes to %q", goes)
			}
			if says := a.how(of); len(goes) == 0 && strings.Contains(says, "it is a copy of "+of+", and the runbook names "+a.Live[0]) != (of != "") {
				t.Errorf("it says %q", says)
			}
		})
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
	commands := recovery.Outcome{Facts: a.inPlace("", undescribed(scratch))}.InPlace()
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
