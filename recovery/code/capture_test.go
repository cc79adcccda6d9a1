package code_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
)

// unseen is a meter that nobody looks at.
type unseen struct{}

func (unseen) Phase(string, int64, recovery.Unit)       {}
func (unseen) Add(int64)                                {}
func (unseen) Set(int64)                                {}
func (unseen) Note(string)                              {}
func (unseen) Log(string)                               {}
func (unseen) Checkpoint(context.Context, string) error { return nil }

// capture takes a bundle of a checkout into the copy.
func (r *repository) capture(checkout string) (recovery.Manifest, error) {
	r.t.Helper()
	c := component
	c.Settings = recovery.Settings{"prefix": {"code/"}, "path": {checkout}}
	return engine().(recovery.Capturer).Capture(r.t.Context(), recovery.Capture{System: "shop", Component: c, Stamp: "20261122T010000Z", Store: r.store(),
		Begin: func(context.Context, recovery.Beginning) error { return nil }, Secret: func(text string) (string, error) { return text, nil },
		Command: func(ctx context.Context, c recovery.Cmd) error {
			cmd := exec.CommandContext(ctx, c.Path, c.Args...)
			cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Env, c.Stdin, c.Stdout, os.Stderr
			return cmd.Run()
		},
		Meter: unseen{}, Temp: r.t.TempDir(), Now: time.Now})
}

// A checkout that lacks a part of its history makes bundles that nobody can unpack: none
// is taken, and it is said how it gets the rest. Once it has, one is, and comes back.
func TestCapture_lacksHistory(t *testing.T) {
	for name, test := range map[string]struct {
		clone      []string
		says, hint string
	}{
		"shallow": {[]string{"--depth", "1"}, "is a shallow checkout", "fetch --unshallow"},
		"partial": {[]string{"--filter=blob:none"}, "is a partial clone", "without --filter"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			r.git("config", "uploadpack.allowFilter", "true")
			checkout := filepath.Join(t.TempDir(), "app")
			r.git(append(append([]string{"clone", "--quiet"}, test.clone...), "file://"+r.dir, checkout)...)
			_, err := r.capture(checkout)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(recovery.HintOf(err), test.hint) || recovery.ExitOf(err) != recovery.Refused {
				t.Errorf("%v (%s)", err, recovery.HintOf(err))
			}
			if s := r.survey(); len(s.Backups) > 0 {
				t.Errorf("the copy has %+v", s.Backups)
			}
			if name != "shallow" {
				return
			}
			r.git("-C", checkout, "fetch", "--quiet", "--unshallow")
			if _, err := r.capture(checkout); err != nil {
				t.Fatal(err)
			}
			r.record()
			if end := enginetest.Restore(t, r.options(at(r.at[0]))); end.Result != recovery.ResultPassed {
				says, hint := enginetest.Failure(end)
				t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
		})
	}
}

// A bundle that was made of a shallow checkout is refused as that, with what to do.
func TestCheckout_shallowBundle(t *testing.T) {
	r := newRepository(t)
	checkout := filepath.Join(t.TempDir(), "app")
	r.git("clone", "--quiet", "--depth", "1", "file://"+r.dir, checkout)
	r.git("-C", checkout, "bundle", "create", "--quiet", filepath.Join(r.copy, "code", "shop.bundle"), "--all", "HEAD")
	r.record()
	end := enginetest.Restore(t, r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"}))
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "lacks a part of its history") || !strings.Contains(hint, "--unshallow") {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}

// What a commit has in other repositories, or in the store of git LFS, is in no bundle:
// the backup says so, and the restore, too.
func TestCapture_beside(t *testing.T) {
	r := newRepository(t)
	r.write(filepath.Join(r.dir, ".gitattributes"), "* text=auto filter=evil\n*.bin filter=lfs -text\n", 0o644)
	r.write(filepath.Join(r.dir, "assets", "logo.bin"), "version https://git-lfs.github.com/spec/v1\n", 0o644)
	r.git("add", "-A")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+r.commits[0]+",vendor/engine")
	r.git("commit", "--quiet", "-m", "with more")
	r.commits, r.at = append(r.commits, r.git("rev-parse", "HEAD")), append(r.at, time.Now().Add(-time.Minute).UTC().Truncate(time.Second))
	m, err := r.capture(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.record()
	end := enginetest.Restore(t, r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"}))
	if says, hint := enginetest.Failure(end); says != "" {
		t.Fatalf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
	for what, all := range map[string][]string{"the backup": m.Remarks, "the restore": end.Steps[0].Outcome.Exceptions} {
		if text := strings.Join(all, "\n"); len(all) != 2 || !strings.Contains(text, `1 submodule, "vendor/engine"`) || !strings.Contains(text, `1 file of git LFS, "assets/logo.bin"`) {
			t.Errorf("%s tells %q", what, all)
		}
	}
	// What the runbook names is told, and is no exception.
	o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
	o.Component.Settings = recovery.Settings{"without": {"vendor/", "assets/logo.bin"}}
	end = enginetest.Restore(t, o)
	if out := end.Steps[0].Outcome; end.Result != recovery.ResultPassed || len(out.Exceptions) > 0 || len(out.Remarks) != 2 || !strings.Contains(strings.Join(out.Remarks, "\n"), `1 submodule, "vendor/engine"`) {
		t.Errorf("the run ended as %s: %q, %q", end.Result, out.Exceptions, out.Remarks)
	}
	o.Component.Settings = recovery.Settings{"without": {"vendor/eng", "assets"}}
	end = enginetest.Restore(t, o)
	if out := end.Steps[0].Outcome; end.Result != recovery.ResultExceptions || len(out.Exceptions) != 1 || len(out.Remarks) != 1 {
		t.Errorf("the run ended as %s: %q, %q", end.Result, out.Exceptions, out.Remarks)
	}
	// The commit before it has neither.
	end = enginetest.Restore(t, r.options(at(r.at[2])))
	if all := end.Steps[0].Outcome.Exceptions; end.Result != recovery.ResultPassed || len(all) > 0 {
		t.Errorf("the run ended as %s: %q", end.Result, all)
	}
}

// What a live checkout has and no commit of it, no bundle has: the backup says so, and runs
// nothing that the checkout's own configuration names.
func TestCapture_uncommitted(t *testing.T) {
	r := newRepository(t)
	ran := filepath.Join(t.TempDir(), "ran")
	r.write(filepath.Join(r.dir, ".gitattributes"), "*.txt text\n*.bin filter=own\n", 0o644)
	for _, name := range []string{"dos.txt", "fixed.php", "gone.php", "own.bin"} {
		r.write(filepath.Join(r.dir, name), "one\ntwo\n", 0o644)
	}
	r.write(filepath.Join(r.dir, ".gitignore"), "vendor/\n", 0o644)
	if err := os.Symlink("VERSION", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", "more")
	m, err := r.capture(r.dir)
	if err != nil || len(m.Remarks) > 0 {
		t.Errorf("of a checkout that is committed it says %q, %v", m.Remarks, err)
	}
	if err := os.Remove(filepath.Join(r.copy, m.ID)); err != nil {
		t.Fatal(err)
	}
	r.git("config", "filter.own.clean", "touch "+ran+"; cat")
	for name, text := range map[string]string{"dos.txt": "one\r\ntwo\r\n", "fixed.php": "one\nfix\n", "own.bin": "otherwise", ".env": "secret", "vendor/a/b": "x", "vendor/c": "x", "new\n.php": "x"} {
		r.write(filepath.Join(r.dir, name), text, 0o644)
	}
	if err := os.Remove(filepath.Join(r.dir, "gone.php")); err != nil {
		t.Fatal(err)
	}
	if m, err = r.capture(r.dir); err != nil {
		t.Fatal(err)
	}
	if len(m.Remarks) != 2 || !strings.Contains(m.Remarks[0], "3 names in "+r.dir+" that git does not track") || !strings.Contains(m.Remarks[0], `".env"`) || !strings.Contains(m.Remarks[0], `"vendor/"`) ||
		!strings.Contains(m.Remarks[1], "1 file in "+r.dir+" otherwise than its HEAD has") || !strings.Contains(m.Remarks[1], `"fixed.php"`) {
		t.Errorf("it says %q", m.Remarks)
	}
	if _, err := os.Lstat(ran); err == nil {
		t.Error("a command of the checkout's own configuration was run")
	}
}
