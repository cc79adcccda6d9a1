package files_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// component is the one that the tests restore.
var component = recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {"/srv/shop/uploads"}}}

// directory is a copy in a directory with the given objects.
func directory(t testing.TB, objects map[string][]byte) storage.Store {
	t.Helper()
	dir := t.TempDir()
	for key, content := range objects {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

var latest = recovery.Want{Kind: recovery.WantLatest, Text: "latest"}

func survey(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store) recovery.Survey {
	t.Helper()
	s, err := e.Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// options restore the newest backup of a copy.
func options(t testing.TB, e recovery.Engine, c recovery.Component, store storage.Store) enginetest.Options {
	t.Helper()
	s := survey(t, e, c, store)
	p, err := e.Resolve(t.Context(), s, latest, store)
	if err != nil {
		t.Fatalf("%v (%s); findings %+v", err, recovery.HintOf(err), s.Findings)
	}
	return enginetest.Options{Engine: e, Component: c, Point: p, Owner: recovery.User{UID: -1, GID: -1},
		Stores: map[string]storage.Store{"nearby": store}}
}

// restore restores the newest backup of a copy and gives how the run ended and
// what was there.
func restore(t testing.TB, o enginetest.Options) (end recovery.State, restored string) {
	t.Helper()
	probe := o.Probe
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		dir, err := treeOf(env, o.Component.Name)
		if err != nil {
			return err
		}
		restored = describe(t, dir)
		if probe == nil {
			return nil
		}
		return probe(ctx, env)
	}
	end = enginetest.Restore(t, o)
	return end, restored
}

// treeOf is the directory that a component is bound to.
func treeOf(env recovery.Env, component string) (string, error) {
	b, ok := env.Binding(component)
	u, err := url.Parse(b.URL)
	if err != nil || !ok || !b.Scratch || u.Scheme != "file" {
		return "", fmt.Errorf("the binding is %+v", b)
	}
	return u.Path, nil
}

// passed demands that a run has passed, with no exception but of files that give rights.
func passed(t testing.TB, s recovery.State) {
	t.Helper()
	result := s.Result
	if result == recovery.ResultExceptions && !slices.ContainsFunc(s.Steps, func(step recovery.StepState) bool {
		return slices.ContainsFunc(step.Outcome.Exceptions, func(says string) bool {
			return !strings.Contains(says, ", set-user-ID, ") && !strings.Contains(says, ", with capabilities, ")
		})
	}) {
		result = recovery.ResultPassed
	}
	if result != recovery.ResultPassed {
		says, hint := enginetest.Failure(s)
		t.Fatalf("the run ended as %s: %s (%s); %s", s.Result, says, hint, s.Says)
	}
}

// Archives as people make them restore as they are, with everything that a tree
// may hold.
func TestRestore_Archives(t *testing.T) {
	dir := oddTree(t)
	want := describe(t, dir)
	inside, above := archived(t, dir, "."), archived(t, filepath.Dir(dir), "uploads")
	for name, objects := range map[string]map[string][]byte{
		"tar":                 {"uploads.tar": inside},
		"with its name":       {"uploads.tar": above},
		"with its whole path": {"uploads.tar": archived(t, filepath.Dir(dir), "--transform", "s,^uploads,srv/shop/uploads,S", "uploads")},
		"gzip":                {"uploads/2026-11-22.tar.gz": packed(t, above, "gzip", "-c")},
		"zstd":                {"uploads/2026-11-22.tar.zst": packed(t, above, "zstd", "-c")},
		"zstd, long":          {"uploads/2026-11-22.tar.zst": packed(t, above, "zstd", "-c", "--long=27")},
		"bzip2":               {"uploads/2026-11-22.tar.bz2": packed(t, above, "bzip2", "-c")},
		"pax":                 {"uploads.tar": archived(t, dir, "--format=posix", ".")},
		"sparse":              {"uploads.tar": archived(t, dir, "--sparse", ".")},
		"sparse, pax":         {"uploads.tgz": packed(t, archived(t, dir, "--sparse", "--format=posix", "."), "gzip", "-c")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t, engine(), component, directory(t, objects))
			o.Probe = func(_ context.Context, env recovery.Env) error {
				tree, err := treeOf(env, "uploads")
				if err != nil {
					return err
				}
				for _, name := range []string{"sparse", "zeros"} {
					if n := onDisk(t, filepath.Join(tree, name)); n > 64<<10 {
						t.Errorf("%s takes %d bytes", name, n)
					}
				}
				info, err := os.Stat(filepath.Dir(tree))
				if err == nil && info.Mode().Perm() != 0o700 {
					t.Errorf("others may reach the tree: %s", info.Mode())
				}
				return err
			}
			end, restored := restore(t, o)
			passed(t, end)
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Error(diff)
			}
			out := end.Steps[0].Outcome
			if out.Facts["sha256"] == "" || out.Reached == nil || !strings.Contains(strings.Join(out.Remarks, "; "), "2 links lead out") {
				t.Errorf("the outcome is %+v", out)
			}
		})
	}
}

// What an archive says, nothing is written outside of the tree.
func TestRestore_Hostile(t *testing.T) {
	outside := t.TempDir()
	for name, test := range map[string]struct {
		members []member
		says    string // of the refusal; "" where the rest is restored
		remark  string
	}{
		"parent":        {[]member{{tar.Header{Name: "ok"}, "1"}, {tar.Header{Name: "../../evil"}, "2"}}, "leads out of the tree", ""},
		"parent inside": {[]member{{tar.Header{Name: "a/../../evil"}, "2"}}, "leads out of the tree", ""},
		"through a link": {[]member{
			{tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: outside}, ""},
			{tar.Header{Name: "x/evil"}, "2"}}, "a link and a directory", ""},
		"a file over a link": {[]member{
			{tar.Header{Name: "x", Typeflag: tar.TypeSymlink, Linkname: filepath.Join(outside, "evil")}, ""},
			{tar.Header{Name: "x"}, "22"}}, "", ""},
		"a hard link out":         {[]member{{tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "../../etc/passwd"}, ""}}, "leads out of the tree", ""},
		"a hard link to nothing":  {[]member{{tar.Header{Name: "x", Typeflag: tar.TypeLink, Linkname: "nothing"}, ""}}, "not in the tree", ""},
		"absolute names":          {[]member{{tar.Header{Name: "/etc/evil"}, "1"}}, "", "began with a slash"},
		"a directory over a file": {[]member{{tar.Header{Name: "x"}, "1"}, {tar.Header{Name: "x/", Typeflag: tar.TypeDir}, ""}}, "", ""},
		"a file in a file":        {[]member{{tar.Header{Name: "x"}, "1"}, {tar.Header{Name: "x/y"}, "2"}}, "x/y", ""},
		"the later wins":          {[]member{{tar.Header{Name: "x"}, "1"}, {tar.Header{Name: "x"}, "22"}}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			end, restored := restore(t, options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, test.members...)})))
			says, hint := enginetest.Failure(end)
			switch {
			case test.says == "":
				passed(t, end)
				if remarks := strings.Join(end.Steps[0].Outcome.Remarks, "; "); !strings.Contains(remarks, test.remark) {
					t.Errorf("the remarks are %q", remarks)
				}
			case end.Result == recovery.ResultPassed || !strings.Contains(says, test.says) || hint == "":
				t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
			if (name == "the later wins" || name == "a file over a link") && !strings.Contains(restored, " 2 ") || name == "a directory over a file" && !strings.Contains(restored, `"x" d`) {
				t.Errorf("restored is %s", restored)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("outside of the tree are %v, %v", left, err)
			}
		})
	}
}

// What an archive does not describe of its directories is told, and named beside the
// tree for whoever makes it live; it stays private.
func TestRestore_undescribed(t *testing.T) {
	members := []member{{tar.Header{Name: "b/c/one"}, "1"}, {tar.Header{Name: "-/two"}, "2"}, {tar.Header{Name: "b/", Typeflag: tar.TypeDir, Mode: 0o700}, ""}, {tar.Header{Name: "d/link", Typeflag: tar.TypeSymlink, Linkname: "x"}, ""}}
	for name, test := range map[string]struct {
		members []member
		want    string
	}{
		"some": {members, ".\x00-\x00b/c\x00d\x00"},
		"none": {append(members, member{tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, ""}, member{tar.Header{Name: "-/", Typeflag: tar.TypeDir, Mode: 0o700}, ""},
			member{tar.Header{Name: "b/c", Typeflag: tar.TypeDir, Mode: 0o755}, ""}, member{tar.Header{Name: "d", Typeflag: tar.TypeDir, Mode: 0o500}, ""}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, test.members...)}))
			o.Probe = func(_ context.Context, env recovery.Env) error {
				tree, err := treeOf(env, "uploads")
				if err != nil {
					return err
				}
				got, err := os.ReadFile(filepath.Join(filepath.Dir(tree), recovery.UndescribedFile))
				if string(got) != test.want {
					t.Errorf("undescribed are %q, want %q", got, test.want)
				}
				return err
			}
			end, restored := restore(t, o)
			passed(t, end)
			if test.want != "" && !strings.HasPrefix(restored, `"." drwx------ `) {
				t.Errorf("others may enter it: %s", restored)
			}
			if says := strings.Join(end.Steps[0].Outcome.Remarks, "; "); strings.Contains(says, `does not describe 4 of its directories, "." the first`) != (test.want != "") {
				t.Errorf("the remarks are %q", says)
			}
		})
	}
}

// Devices and pipes are left out, and the report says so.
func TestRestore_LeavesOut(t *testing.T) {
	end, restored := restore(t, options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t,
		member{tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, ""},
		member{tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}, ""}, member{tar.Header{Name: "file"}, "1"})})))
	if end.Result != recovery.ResultExceptions || len(end.Steps[0].Outcome.Exceptions) != 2 || !strings.Contains(end.Says, "a device") {
		t.Errorf("the run ended as %s: %s", end.Result, end.Says)
	}
	if !strings.Contains(restored, "file") || strings.Contains(restored, "null") {
		t.Error(restored)
	}
}

// A file that runs with the rights of another user is told before the switch makes it live:
// the archive may have been written by anybody who could write to the copy.
func TestRestore_grants(t *testing.T) {
	shell := member{tar.Header{Name: "avatars/shell", Mode: 0o4755}, "#!"}
	end, _ := restore(t, options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, member{tar.Header{Name: "file"}, "1"}, shell)})))
	says := end.Steps[0].Outcome.Exceptions
	if end.Result != recovery.ResultExceptions || len(says) != 1 || !strings.Contains(says[0], fmt.Sprintf(`"avatars/shell" (mode 4755, user %d, `, os.Geteuid())) {
		t.Errorf("the run ended as %s: %q", end.Result, says)
	}
	shell.Mode = 0o755
	end, _ = restore(t, options(t, engine(), component, directory(t, map[string][]byte{"a.tar": tarOf(t, shell)})))
	if says := end.Steps[0].Outcome.Exceptions; end.Result != recovery.ResultPassed || len(says) > 0 {
		t.Errorf("the run ended as %s: %q", end.Result, says)
	}
}

// An archive that is cut off or damaged is refused, wherever it is.
func TestRestore_Damaged(t *testing.T) {
	whole := archived(t, oddTree(t), ".")
	for name, program := range map[string][]string{"tar": nil, "tar.gz": {"gzip", "-c"}, "tar.zst": {"zstd", "-c", "--check"}} {
		content := whole
		if program != nil {
			content = packed(t, whole, program[0], program[1:]...)
		}
		// The zeros that fill the last record up are no loss.
		for _, at := range []int{len(content) / 3, len(content) * 9 / 10, len(bytes.TrimRight(content, "\x00")) - 1} {
			t.Run(fmt.Sprintf("%s/cut at %d", name, at), func(t *testing.T) {
				refusesBroken(t, "a."+name, content[:at])
			})
		}
		if program != nil {
			broken := bytes.Clone(content)
			broken[len(broken)*3/4] ^= 4
			t.Run(name+"/damaged", func(t *testing.T) { refusesBroken(t, "a."+name, broken) })
		}
	}
}

func refusesBroken(t *testing.T, key string, content []byte) {
	store := directory(t, map[string][]byte{key: content})
	s := survey(t, engine(), component, store)
	p, err := engine().Resolve(t.Context(), s, latest, store)
	if err != nil { // the survey has seen it
		if recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("refused with %v", err)
		}
		return
	}
	end, _ := restore(t, enginetest.Options{Engine: engine(), Component: component, Point: p, Owner: recovery.User{UID: -1},
		Stores: map[string]storage.Store{"nearby": store}})
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "damaged") || hint == "" {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}

func TestEngine(t *testing.T) {
	enginetest.Suite(t, engine(), directory(t, nil))
}

func crashing(t *testing.T, e recovery.Engine, c recovery.Component, objects map[string][]byte) enginetest.Crash {
	t.Helper()
	return crashingIn(t, e, c, directory(t, objects))
}

func crashingIn(t *testing.T, e recovery.Engine, c recovery.Component, store storage.Store) enginetest.Crash {
	t.Helper()
	return enginetest.Crash{Options: options(t, e, c, store),
		Copies: map[string]string{"nearby": strings.TrimPrefix(store.URL(), "file://")},
		Digest: func(_ context.Context, env recovery.Env) (string, error) {
			dir, err := treeOf(env, c.Name)
			if err != nil {
				return "", err
			}
			return describe(t, dir), nil
		}}
}

func TestSurvive(t *testing.T) {
	dir := plainTree(t)
	inside := archived(t, dir, ".")
	for name, objects := range map[string]map[string][]byte{
		"tar":    {"uploads.tar": inside},
		"tar.gz": {"uploads.tar.gz": packed(t, inside, "gzip", "-c")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enginetest.Survive(t, crashing(t, engine(), component, objects))
		})
	}
}

// What an archive that is not compressed has given is not fetched again.
func TestRestore_GoesOn(t *testing.T) {
	members := []member{{tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, ""}}
	for i := range 7 {
		members = append(members, member{tar.Header{Name: fmt.Sprintf("d%d/", i), Typeflag: tar.TypeDir, Mode: 0o755}, ""})
	}
	for i := range 400 {
		members = append(members, member{tar.Header{Name: fmt.Sprintf("d%d/f%d", i%7, i)}, strings.Repeat(fmt.Sprint(i), 500)})
	}
	content := tarOf(t, members...)
	c := crashing(t, engine(), component, map[string][]byte{"a.tar": content})
	c.Component.Settings = recovery.Settings{}
	want := c.Run(t).Restored
	c.Cuts = []enginetest.Cut{{Bytes: int64(len(content)) / 2}, {Bytes: int64(len(content)) / 4}}
	end := c.Whole(t, want)
	if most := int64(len(content))/4 + 200<<10; end.Read > most {
		t.Errorf("%d of %d bytes were read again", end.Read, len(content))
	}
}

// What was left out before an interruption is told after it.
func TestRestore_GoesOnLeftOut(t *testing.T) {
	members := []member{{tar.Header{Name: "pipe", Typeflag: tar.TypeFifo, Mode: 0o644}, ""}}
	for i := range 400 {
		members = append(members, member{tar.Header{Name: fmt.Sprint("f", i)}, strings.Repeat(fmt.Sprint(i), 500)})
	}
	content := tarOf(t, members...)
	c := crashing(t, engine(), component, map[string][]byte{"a.tar": content})
	c.Component.Settings = recovery.Settings{}
	c.Cuts = []enginetest.Cut{{Bytes: int64(len(content)) / 2}}
	end := c.Run(t)
	if end.Result != recovery.ResultExceptions || !strings.Contains(end.Says, `1 exception: left out: "pipe": a pipe`) || len(end.Interruptions) != 1 {
		t.Errorf("ended as %s: %s, after %d interruptions", end.Result, end.Says, len(end.Interruptions))
	}
}

// Out of a bucket, over connections that break.
func TestRestore_FromS3(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	store, err := s3.Open(t.Context(), server.Options("backups", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	dir := oddTree(t)
	content := packed(t, archived(t, dir, "."), "zstd", "-c")
	if _, err := store.Put(t.Context(), "uploads/2026-11-22.tar.zst", bytes.NewReader(content), storage.PutOptions{Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	o := options(t, engine(), component, store)
	server.Proxy.CutEvery(20_000)
	end, restored := restore(t, o)
	passed(t, end)
	if diff := cmp.Diff(describe(t, dir), restored); diff != "" || server.Proxy.Cuts() == 0 {
		t.Errorf("after %d cuts: %s", server.Proxy.Cuts(), diff)
	}
}
