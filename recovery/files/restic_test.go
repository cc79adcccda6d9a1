package files_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

const resticPassword = "correct horse battery"

// restic runs the real program on a repository, in a directory.
func restic(t testing.TB, repository, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "restic", append([]string{"--quiet", "--no-cache"}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "RESTIC_REPOSITORY="+repository, "RESTIC_PASSWORD="+resticPassword)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("restic %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func resticEngine(password string) recovery.Engine {
	return files.NewRestic(files.Options{Expand: func(text string) (string, error) { return strings.ReplaceAll(text, "${PASS}", password), nil }})
}

// A repository that restic has made is a source: its snapshots are moments, a tree
// comes back as it was, from a directory and from a bucket, and nothing is written to
// the repository.
func TestRestic(t *testing.T) {
	dir := oddTree(t)
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	bucket, err := s3.Open(t.Context(), server.Options("backups", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", storagetest.Root.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", storagetest.Root.SecretKey)
	at := t.TempDir()
	local, err := storage.OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		store      storage.Store
		copy       recovery.Copy
		repository string
	}{
		"a directory": {local, recovery.Copy{Name: "nearby", URL: "file://" + at}, filepath.Join(at, "restic")},
		"a bucket": {bucket, recovery.Copy{Name: "nearby", URL: "s3://backups/shop", Endpoint: server.Endpoint(), PathStyle: true, Region: storagetest.Region},
			"s3:" + server.Endpoint() + "/backups/shop/restic"},
	} {
		t.Run(name, func(t *testing.T) {
			want := describe(t, dir)
			restic(t, c.repository, dir, "init")
			restic(t, c.repository, "/", "backup", dir)
			extra := filepath.Join(dir, "written later")
			if err := os.WriteFile(extra, []byte("later"), 0o600); err != nil {
				t.Fatal(err)
			}
			restic(t, c.repository, "/", "backup", dir)
			restic(t, c.repository, "/", "backup", at) // another tree
			if err := os.Remove(extra); err != nil {
				t.Fatal(err)
			}
			kept := storagetest.Keys(t, c.store, "")
			tree := recovery.Component{Name: "uploads", Kind: recovery.Files, With: files.Restic, Settings: recovery.Settings{
				"path": {dir}, "prefix": {"restic/"}, "password": {"${PASS}"}}}
			e := resticEngine(resticPassword)
			s, err := e.Survey(t.Context(), tree, c.copy, c.store)
			if err != nil || len(s.Backups) != 2 {
				t.Fatalf("%+v, %v", s, err)
			}
			p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: s.Backups[1].Taken.From.Add(-1), Text: "then"}, c.store)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			var restored string
			o := enginetest.Options{Engine: e, Component: tree, Point: p, Owner: recovery.User{UID: -1, GID: -1}, Environ: map[string]string{"PASS": resticPassword},
				Stores: map[string]storage.Store{"nearby": c.store}, Probe: func(_ context.Context, env recovery.Env) error {
					at, err := treeOf(env, "uploads")
					if err == nil {
						restored = describe(t, at)
					}
					return err
				}}
			end := enginetest.Restore(t, o)
			passed(t, end)
			if says := end.Steps[0].Outcome.Exceptions; len(says) != 1 || !strings.Contains(says[0], `"program" (mode 4755`) {
				t.Errorf("the exceptions are %q", says)
			}
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(kept, storagetest.Keys(t, c.store, "")); diff != "" {
				t.Errorf("the repository is not what it was: %s", diff)
			}
			// A password that was right at the survey and is not any more is waited for.
			waited := ""
			o.Environ, o.Typed = map[string]string{"PASS": "wrong-password"}, map[string]string{"PASS": resticPassword}
			o.Answer = func(st recovery.StepState) recovery.Choice {
				if waited += fmt.Sprintf("%s: %s (%s)", st.WaitsFor, st.Error, st.Hint); st.Attempts > 1 {
					return recovery.ChooseStop
				}
				return recovery.ChooseRetry
			}
			passed(t, enginetest.Restore(t, o))
			if !strings.HasPrefix(waited, "credentials: ") || !strings.Contains(waited, "no key of the repository opens with ${PASS} (give ${PASS} the password of this repository, then try again)") {
				t.Errorf("it waits for %s", waited)
			}
			// What another host has stored of a directory of that name is told, and left out
			// where the component names its host.
			host, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			restic(t, c.repository, "/", "backup", "--host", "staging", dir)
			s, err = e.Survey(t.Context(), tree, c.copy, c.store)
			if err != nil || len(s.Backups) != 3 || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Says, "staging") || !strings.Contains(s.Findings[0].Do, "host:") {
				t.Errorf("%+v, %v", s, err)
			}
			p, err = e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest}, c.store)
			if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "the snapshot is by staging, and the repository has others of this tree by "+host+": name the host") {
				t.Errorf("%q, %v", p.Warnings, err)
			}
			tree.Settings["host"] = []string{host}
			s, err = e.Survey(t.Context(), tree, c.copy, c.store)
			if err != nil || len(s.Backups) != 2 || len(s.Findings) != 0 {
				t.Errorf("%+v, %v", s, err)
			}
			// Without the right password it is a finding, and nothing is chosen.
			s, err = resticEngine("wrong").Survey(t.Context(), tree, c.copy, c.store)
			if err != nil || len(s.Backups) > 0 || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Says, "wrong password") || !strings.Contains(s.Findings[0].Do, "give ${PASS} the password") {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	enginetest.Suite(t, resticEngine("x"), directory(t, nil))
}
