package code_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/code"
	"comeback/storage"
)

func TestMain(m *testing.M) {
	enginetest.Main(engine)
	os.Exit(m.Run())
}

func engine() recovery.Engine { return code.New(code.Options{}) }

var component = recovery.Component{Name: "code", Kind: recovery.Code, Settings: recovery.Settings{"prefix": {"code/"}, "path": {"/srv/shop/app"}}}

// repository is a shop's application and the copy of it.
type repository struct {
	t       testing.TB
	dir     string
	copy    string
	commits []string
	at      []time.Time
}

// newRepository has three commits, deployed ten minutes apart.
func newRepository(t testing.TB) *repository {
	r := &repository{t: t, dir: t.TempDir(), copy: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(r.copy, "code"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.git("init", "--quiet", "--initial-branch=main", ".")
	for i := range 3 {
		r.commit(fmt.Sprintf("version %d", i+1))
	}
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=A Dev", "-c", "user.email=dev@example.com"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) write(path, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) commit(text string, flags ...string) {
	r.t.Helper()
	r.write(filepath.Join(r.dir, "VERSION"), text+"\n", 0o644)
	r.write(filepath.Join(r.dir, "bin", "serve"), "#!/bin/sh\necho "+text+"\n", 0o755)
	r.write(filepath.Join(r.dir, ".gitattributes"), "* text=auto filter=evil\n", 0o644)
	r.git("add", "-A")
	r.git(append([]string{"commit", "--quiet", "-m", text}, flags...)...)
	r.commits = append(r.commits, r.git("rev-parse", "HEAD"))
	r.at = append(r.at, time.Now().Add(time.Duration(len(r.at)-20)*10*time.Minute).UTC().Truncate(time.Second))
}

// record writes the deploys that a step has appended.
func (r *repository) record() {
	text := "# deploys of the shop\n"
	for i, c := range r.commits {
		text += fmt.Sprintf("%s %s by ci\n", r.at[i].Format(time.RFC3339), c)
	}
	r.write(filepath.Join(r.copy, "code", "deploys"), text+"2026-1", 0o600) // a line that is being written
}

func (r *repository) bundle(name string, args ...string) {
	r.git(append([]string{"bundle", "create", "--quiet", filepath.Join(r.copy, "code", name)}, args...)...)
}

func (r *repository) store() storage.Store {
	s, err := storage.OpenDir(r.copy)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *repository) survey() recovery.Survey {
	r.t.Helper()
	s, err := engine().Survey(r.t.Context(), component, recovery.Copy{Name: "nearby"}, r.store())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *repository) options(want recovery.Want) enginetest.Options {
	r.t.Helper()
	s := r.survey()
	p, err := engine().Resolve(r.t.Context(), s, want, r.store())
	if err != nil {
		r.t.Fatalf("%v; %+v", err, s)
	}
	return enginetest.Options{Engine: engine(), Component: component, Point: p, Owner: recovery.User{UID: -1, GID: -1}, Stores: map[string]storage.Store{"nearby": r.store()}}
}

// version is what stands in the tree that was restored.
func version(env recovery.Env) (string, error) {
	b, ok := env.Binding("code")
	u, err := url.Parse(b.URL)
	if err != nil || !ok || !b.Scratch {
		return "", fmt.Errorf("the binding is %+v", b)
	}
	text, err := os.ReadFile(filepath.Join(u.Path, "VERSION"))
	if err != nil {
		return "", err
	}
	out, err := exec.Command(filepath.Join(u.Path, "bin", "serve")).Output()
	return string(text) + string(out), err
}

func at(t time.Time) recovery.Want {
	return recovery.Want{Kind: recovery.WantTime, Time: t, Text: t.Format(time.RFC3339)}
}

// The commit that was live at each moment comes back, from the record of the
// deploys or from tags.
func TestCheckout(t *testing.T) {
	for _, by := range []string{"record", "tags"} {
		t.Run(by, func(t *testing.T) {
			r := newRepository(t)
			if by == "record" {
				r.record()
			} else {
				for i, c := range r.commits {
					tag := "deploy/" + r.at[i].Format("20060102T150405Z")
					if i == 1 {
						r.git("tag", "-a", "-m", "annotated", tag, c)
					} else {
						r.git("tag", tag, c)
					}
				}
			}
			r.bundle("shop.bundle", "--all", "HEAD")
			for i, moment := range r.at {
				for _, then := range []time.Time{moment, moment.Add(9 * time.Minute)} {
					var got string
					o := r.options(at(then))
					o.Probe = func(_ context.Context, env recovery.Env) (err error) {
						got, err = version(env)
						return err
					}
					end := enginetest.Restore(t, o)
					want := fmt.Sprintf("version %d\n", i+1)
					if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed || got != want+want {
						t.Fatalf("at %s the run ended as %s: %s (%s), got %q", then, end.Result, says, hint, got)
					}
					out := end.Steps[0].Outcome
					if out.Facts["signature"] != "not signed" || out.Facts["subject"] != fmt.Sprintf("version %d", i+1) || out.Facts["sha256"] == "" {
						t.Errorf("the facts are %v", out.Facts)
					}
					if out.Facts["commit"] != r.commits[i] {
						t.Errorf("checked out %s", out.Facts["commit"])
					}
				}
			}
			_, err := engine().Resolve(t.Context(), r.survey(), at(r.at[0].Add(-time.Second)), r.store())
			if err == nil || !strings.Contains(err.Error(), "nothing was deployed before") || recovery.HintOf(err) == "" {
				t.Error(err)
			}
		})
	}
}

// A bundle that was written before a branch was rewritten still holds what was
// deployed from it.
func TestCheckout_looksInOtherBundles(t *testing.T) {
	r := newRepository(t)
	r.record()
	r.bundle("1.bundle", "--all")
	r.git("reset", "--quiet", "--hard", r.commits[0])
	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "--quiet", "--prune=now")
	r.bundle("2.bundle", "--all")
	early := time.Now().Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(r.copy, "code", "1.bundle"), early, early); err != nil {
		t.Fatal(err)
	}
	o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
	end := enginetest.Restore(t, o)
	if out := end.Steps[0].Outcome; end.Result != recovery.ResultPassed || out.Facts["commit"] != r.commits[2] || out.Facts["bundle"] != "code/1.bundle" {
		says, _ := enginetest.Failure(end)
		t.Errorf("the run ended as %s: %s; %v", end.Result, says, out.Facts)
	}
	if err := os.Remove(filepath.Join(r.copy, "code", "1.bundle")); err != nil {
		t.Fatal(err)
	}
	end = enginetest.Restore(t, r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"}))
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultRefused || !strings.Contains(says, "none of the 1 bundles holds") || hint == "" {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}

// A record that ends before bundles with another HEAD were stored is believed, and they are named:
// what appends to it may have stopped. A bundle of after the moment says nothing of it.
func TestResolve_staleRecord(t *testing.T) {
	r := newRepository(t)
	all := r.commits
	r.commits = all[:2]
	r.record()
	stored := r.at[1].Add(5 * time.Minute)
	bundle := func(name string, at time.Time) {
		t.Helper()
		r.bundle(name, "--all", "HEAD")
		if err := os.Chtimes(filepath.Join(r.copy, "code", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	warnings := func(want recovery.Want) string {
		t.Helper()
		p, err := engine().Resolve(t.Context(), r.survey(), want, r.store())
		if err != nil || !strings.Contains(p.Says, r.commits[1][:12]) {
			t.Fatalf("%+v, %v", p, err)
		}
		return strings.Join(p.Warnings, "; ")
	}
	bundle("new.bundle", stored)
	latest := recovery.Want{Kind: recovery.WantLatest, Text: "latest"}
	for _, want := range []recovery.Want{latest, at(stored)} {
		if says := warnings(want); !strings.Contains(says, "is of commit "+all[1][:12]) || !strings.Contains(says, "code/new.bundle") || !strings.Contains(says, "HEAD at commit "+all[2][:12]) {
			t.Errorf("of %s it warns of %q", want.Text, says)
		}
	}
	if says := warnings(at(stored.Add(-time.Second))); says != "" {
		t.Errorf("before the bundle was stored it warns of %q", says)
	}
	// One that has no HEAD says nothing; of those that have, the newest one counts.
	r.git("branch", "other", all[0])
	r.bundle("other.bundle", "other")
	if says := warnings(latest); !strings.Contains(says, "code/new.bundle") {
		t.Errorf("it warns of %q", says)
	}
	r.git("checkout", "--quiet", all[1])
	bundle("newer.bundle", stored.Add(time.Minute))
	if says := warnings(latest); says != "" {
		t.Errorf("where the newest bundle has the commit of the record it warns of %q", says)
	}
	// A deploy that a tag tells is of the tag, which may be no commit.
	if err := os.Remove(filepath.Join(r.copy, "code", "deploys")); err != nil {
		t.Fatal(err)
	}
	tag := "deploy/" + r.at[1].Format("20060102T150405Z")
	r.git("tag", "-a", "-m", "annotated", tag, all[1])
	bundle("tagged.bundle", stored.Add(2*time.Minute))
	if p, err := engine().Resolve(t.Context(), r.survey(), latest, r.store()); err != nil || len(p.Warnings) > 0 {
		t.Errorf("%q, %v", p.Warnings, err)
	}
}

// What no bundle holds comes from the remote, by the deploy record; a remote is never
// taken for a copy.
func TestCheckout_remote(t *testing.T) {
	r := newRepository(t)
	r.record()
	with := component
	with.Settings = maps.Clone(component.Settings)
	with.Settings["remote"] = []string{r.dir}
	restore := func() (recovery.Survey, recovery.State) {
		t.Helper()
		s, err := engine().Survey(t.Context(), with, recovery.Copy{Name: "nearby"}, r.store())
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine().Resolve(t.Context(), s, at(r.at[1]), r.store())
		if err != nil {
			t.Fatalf("%v; %+v", err, s)
		}
		return s, enginetest.Restore(t, enginetest.Options{Engine: engine(), Component: with, Point: p, Owner: recovery.User{UID: -1, GID: -1}, Stores: map[string]storage.Store{"nearby": r.store()}})
	}
	s, end := restore()
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed || end.Steps[0].Outcome.Facts["commit"] != r.commits[1] {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
	if len(s.Backups) != 1 || !strings.Contains(s.Backups[0].Form, "no copy") || len(s.Findings) != 1 {
		t.Errorf("the survey is %+v", s)
	}
	r.git("branch", "old", r.commits[0])
	r.bundle("old.bundle", "old")
	if s, end = restore(); end.Result != recovery.ResultPassed || end.Steps[0].Outcome.Facts["commit"] != r.commits[1] || len(s.Backups) != 1 || s.Backups[0].ID != "code/old.bundle" {
		says, hint := enginetest.Failure(end)
		t.Errorf("the run ended as %s: %s (%s); %+v", end.Result, says, hint, s)
	}
	with.Settings["remote"] = []string{filepath.Join(r.dir, "nothing")}
	if _, end = restore(); end.Result == recovery.ResultPassed {
		t.Error("a remote that is not there has given the commit")
	} else if says, hint := enginetest.Failure(end); !strings.Contains(says, "fetch from the remote") || hint == "" {
		t.Errorf("%s (%s)", says, hint)
	}
}

// The signature of a commit is shown. Where signers are named, a commit without the good
// signature of one of them is an exception.
func TestCheckout_signature(t *testing.T) {
	r := newRepository(t)
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(t.TempDir(), "allowed_signers")
	r.write(signers, "dev@example.com "+string(public), 0o600)
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingkey", key)
	r.commit("signed", "-S")
	r.record()
	r.bundle("shop.bundle", "--all")
	other := filepath.Join(t.TempDir(), "others")
	r.write(other, "ops@example.com "+otherKey(t), 0o600)
	past := filepath.Join(t.TempDir(), "past")
	r.write(past, `dev@example.com valid-before="20200101" `+string(public), 0o600)
	restored := func(with, want string, result recovery.Result) {
		t.Helper()
		o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
		o.Component.Settings = recovery.Settings{}
		if with != "" {
			o.Component.Settings["signers"] = []string{with}
		}
		end := enginetest.Restore(t, o)
		out := end.Steps[0].Outcome
		if got := out.Facts["signature"]; end.Result != result || !strings.HasPrefix(got, want) {
			t.Errorf("with %q the signature is %q, the run ended as %s", with, got, end.Result)
		}
		if says := strings.Join(out.Exceptions, "; "); (says != "") != (result != recovery.ResultPassed) || !strings.Contains(says, out.Facts["signature"]) && says != "" {
			t.Errorf("with %q the exceptions are %q", with, says)
		}
	}
	restored("", "signed, ", recovery.ResultPassed)
	restored(signers, "good, by dev@example.com", recovery.ResultPassed)
	restored(other, "signed", recovery.ResultExceptions)
	restored(past, "", recovery.ResultExceptions)
	restored(filepath.Join(t.TempDir(), "no such file"), "signed", recovery.ResultExceptions)
	r.commit("not signed")
	r.record()
	r.bundle("shop.bundle", "--all")
	restored("", "not signed", recovery.ResultPassed)
	restored(signers, "not signed", recovery.ResultExceptions)
}

// otherKey is the public key of somebody else.
func otherKey(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return string(public)
}

// What cannot be used is said, and why.
func TestSurvey(t *testing.T) {
	r := newRepository(t)
	r.bundle("whole.bundle", "main")
	r.bundle("part.bundle", "HEAD", "^"+r.commits[0])
	whole, err := os.ReadFile(filepath.Join(r.copy, "code", "whole.bundle"))
	if err != nil {
		t.Fatal(err)
	}
	r.write(filepath.Join(r.copy, "code", "cut.bundle"), string(whole[:40]), 0o600)
	r.write(filepath.Join(r.copy, "code", "no.bundle"), "something else\n", 0o600)
	r.write(filepath.Join(r.copy, "code", "deploys.log"), "yesterday the new version\n", 0o600)
	s := r.survey()
	got := map[string]string{}
	for _, b := range s.Backups {
		got[b.ID] = b.Problem
	}
	for _, f := range s.Findings {
		got[f.Object] = f.Says
	}
	for id, want := range map[string]string{"code/whole.bundle": "", "code/part.bundle": "builds on 1 commits", "code/cut.bundle": "ends in its head",
		"code/no.bundle": "is not a git bundle", "code/deploys.log": "line 1 is not a time"} {
		if says, ok := got[id]; !ok || !strings.Contains(says, want) || want == "" && says != "" {
			t.Errorf("%s: %q", id, says)
		}
	}
	// Without a record the newest bundle stands for itself, and says so.
	p, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantBackup, Backup: "whole.bundle", Text: "whole.bundle"}, r.store())
	if err == nil || recovery.HintOf(err) == "" { // a branch alone has no HEAD
		t.Errorf("%+v, %v", p, err)
	}
	r.bundle("whole.bundle", "--all", "HEAD")
	p, err = engine().Resolve(t.Context(), r.survey(), recovery.Want{Kind: recovery.WantBackup, Backup: "whole.bundle", Text: "whole.bundle"}, r.store())
	if err != nil || len(p.Warnings) == 0 || p.Exactness != recovery.ToBackup || !strings.Contains(p.Says, r.commits[2][:12]) {
		t.Errorf("%+v, %v", p, err)
	}
}

// A damaged bundle is refused in git's own words.
func TestCheckout_damaged(t *testing.T) {
	r := newRepository(t)
	r.record()
	r.bundle("shop.bundle", "--all")
	path := filepath.Join(r.copy, "code", "shop.bundle")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pack := bytes.Index(b, []byte("PACK"))
	b[pack+(len(b)-pack)/2] ^= 1
	r.write(path, string(b), 0o600)
	end := enginetest.Restore(t, r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"}))
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "unpack code/shop.bundle") || hint == "" {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}

func TestSurvive(t *testing.T) {
	r := newRepository(t)
	r.record()
	r.bundle("shop.bundle", "--all")
	enginetest.Survive(t, enginetest.Crash{Options: r.options(at(r.at[1])), Copies: map[string]string{"nearby": r.copy},
		Digest: func(_ context.Context, env recovery.Env) (string, error) { return version(env) }})
}

func TestEngine(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, engine(), store)
}
