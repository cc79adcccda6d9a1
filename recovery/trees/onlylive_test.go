package trees

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
)

// inArtifacts is the env of a step that writes artifacts into a directory.
type inArtifacts struct {
	holdsNothing
	dir string
}

func (e inArtifacts) Artifact(name string) (io.WriteCloser, error) {
	return os.OpenFile(filepath.Join(e.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// A live checkout has what no commit has: while it has, no exchange is told that would take it
// away, and all of it is named. Where it has nothing more, the commands leave it its owner.
func TestHandOver_code(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for name, c := range map[string]struct {
		live     []string // files of the live checkout; nil where there is none
		link     bool     // the path is a link to it
		listed   []string
		commands int
		checkout bool // git can let it go to the commit
	}{
		"untracked":       {[]string{"index.php", ".git/HEAD", ".env", "vendor/a/b", "vendor/c", "conf/local", "bin"}, false, []string{`".env"`, `".git/"`, `"bin"`, `"conf/local"`, `"vendor/"`}, 0, true},
		"by a link":       {[]string{"index.php", ".env"}, true, []string{`".env"`}, 0, false},
		"without history": {[]string{"index.php", ".env"}, false, []string{`".env"`}, 0, false},
		"nothing more":    {[]string{"index.php"}, false, nil, 2, false},
		"nothing live":    {nil, false, nil, 1, false},
		"other code":      {[]string{"other"}, false, []string{`"other"`}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live := filepath.Join(dir, "app")
			a := handOverArgs{Component: "code", Run: "7c31", Code: true, Place: filepath.Join(dir, "comeback-7c31.code"), Live: []string{live}}
			write := func(path string) {
				t.Helper()
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("x"), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{"index.php", "conf/default", "bin/serve", "new"} {
				write(filepath.Join(a.tree(), name))
			}
			at := live
			if c.link {
				at = filepath.Join(dir, "releases", "1")
				if err := os.Symlink(at, live); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range c.live {
				write(filepath.Join(at, name))
			}
			uid := os.Getuid()
			if uid == 0 && c.commands == 2 {
				uid = 33
				if err := os.Chown(live, uid, uid); err != nil {
					t.Fatal(err)
				}
			}
			env := inArtifacts{dir: t.TempDir()}
			facts, how := a.toLive(env, recovery.Binding{Commit: commit}, false)
			commands := recovery.Outcome{Facts: facts}.InPlace()
			if len(commands) != c.commands || (c.commands > 0) != strings.Contains(how, "comeback status 7c31 tells the commands") {
				t.Fatalf("commands: %q; %s", commands, how)
			}
			list, err := os.ReadFile(filepath.Join(env.dir, "code.only-live.txt"))
			if err != nil && (len(c.listed) > 0 || !errors.Is(err, fs.ErrNotExist)) {
				t.Fatal(err)
			}
			if listed := strings.Fields(string(list)); !slices.Equal(listed, c.listed) {
				t.Errorf("listed are %q", listed)
			}
			if len(c.listed) > 0 {
				first := strings.Join(c.listed[:min(len(c.listed), onlyLiveNamed)], ", ")
				if more := len(c.listed) - onlyLiveNamed; more > 0 {
					first += fmt.Sprintf(" and %d more", more)
				}
				if !strings.HasPrefix(how, live+" has what this commit has not, and an exchange would take away: "+first+", listed in artifacts/code.only-live.txt; ") {
					t.Errorf("it says %q", how)
				}
			}
			if checkout := strings.Contains(how, "git -C "+live+" checkout --detach "+commit); checkout != c.checkout {
				t.Errorf("it says %q", how)
			}
			for _, command := range commands {
				if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", command, err, out)
				}
			}
			if c.commands > 0 {
				info, err := os.Stat(filepath.Join(live, "bin", "serve"))
				if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
					t.Errorf("what took live's place: %v, %v", info, err)
				}
			}
		})
	}
	// What cannot be looked at may hold anything.
	dir := t.TempDir()
	loop := filepath.Join(dir, "app")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	a := handOverArgs{Component: "code", Code: true, Place: filepath.Join(dir, "handed"), Live: []string{loop}}
	if facts, how := a.toLive(inArtifacts{dir: dir}, recovery.Binding{}, false); len(facts) > 0 || !strings.Contains(how, "no exchange is told") {
		t.Errorf("%v, %q", facts, how)
	}
}
