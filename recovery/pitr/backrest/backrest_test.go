package backrest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/backrest"
	"comeback/recovery/pitr/backrest/backresttest"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

func TestSuite(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, engine(key), store)
}

// outcome is what a restore has come to.
type outcome struct {
	recovery.State
	data, archiving, spaces string
}

// options restore a point, and look at what came back.
func (s *source) options(c recovery.Component, p recovery.Point, store storage.Store, got *outcome) enginetest.Options {
	return enginetest.Options{Engine: engine(key), Component: c, Point: p, Owner: s.Owner, Environ: map[string]string{"CIPHER": key},
		Stores: map[string]storage.Store{"nearby": store}, Releasers: []recovery.Releaser{postgres.ReleaseCluster{}},
		Probe: func(ctx context.Context, env recovery.Env) error {
			b, ok := env.Binding("database")
			if !ok || !b.Scratch {
				return fmt.Errorf("the binding is %+v", b)
			}
			conn, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			err = conn.QueryRow(ctx, everything).Scan(&got.data)
			return errors.Join(err, conn.QueryRow(ctx, "select current_setting('archive_mode') || ' ' || current_setting('archive_command')").Scan(&got.archiving),
				conn.QueryRow(ctx, "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'").Scan(&got.spaces))
		}}
}

func (s *source) restored(t *testing.T, c recovery.Component, p recovery.Point, store storage.Store) outcome {
	t.Helper()
	var got outcome
	o := s.options(c, p, store, &got)
	got.State = enginetest.Restore(t, o)
	if got.Result != recovery.ResultPassed {
		says, hint := enginetest.Failure(got.State)
		t.Fatalf("the run ended as %s: %s (%s)", got.Result, says, hint)
	}
	return got
}

// An incident is undone from backups that pgBackRest made itself: to just before the
// transaction, with the data as they were, and nothing is written to the repository, to
// the places of the stanza's own cluster, or to where its configuration would restore.
func TestRestore(t *testing.T) {
	s := theShop(t)
	for name, test := range map[string]struct {
		repo, store string
		forms       []string
	}{
		"a directory":             {"1", "plain", []string{"full backup of pgBackRest", "incremental backup of pgBackRest"}},
		"an encrypted repository": {"2", "sealed", []string{"full backup of pgBackRest"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, store, c := engine(key), s.Store(t, test.store), s.component(recovery.Settings{"repo": {test.repo}})
			kept := [][]string{pitrtest.Tree(t, s.Path(test.store)), pitrtest.Tree(t, s.Path("production")), pitrtest.Tree(t, s.Path("spaces"))}
			survey := pitrtest.Surveyed(t, e, c, store)
			var forms []string
			for _, b := range survey.Backups {
				forms = append(forms, b.Form)
				if b.Problem != "" || b.Size() == 0 || b.Stop == 0 || b.Timeline != 1 || !b.Taken.Known() || b.Details["stanza"] != "shop" {
					t.Errorf("backup %+v", b)
				}
			}
			if diff := cmp.Diff(test.forms, forms); diff != "" {
				t.Error(diff)
			}
			if len(survey.Windows) != len(test.forms) || len(survey.Findings) > 0 {
				t.Errorf("windows %+v, findings %+v", survey.Windows, survey.Findings)
			}
			for _, w := range survey.Windows {
				if len(w.Gaps) > 0 || w.To.Time.Before(s.IncidentAt) {
					t.Errorf("window %+v", w)
				}
			}
			p := pitrtest.Resolved(t, e, survey, store, fmt.Sprintf("before-xid:%d", s.Incident))
			if p.Backup.ID != survey.Backups[len(survey.Backups)-1].ID || p.Lost.XID != s.Incident || p.Exactness != recovery.ToCommit {
				t.Errorf("the point is %+v", p)
			}
			if again := pitrtest.Resolved(t, e, survey, store, s.IncidentAt.Add(-time.Microsecond).Format(time.RFC3339Nano)); again.Stop != p.Stop {
				t.Errorf("by the clock it is %s, by the transaction %s", again.Stop, p.Stop)
			}
			got := s.restored(t, c, p, store)
			if got.data != s.Before {
				t.Errorf("restored was %.80s…, want %.80s…", got.data, s.Before)
			}
			if got.archiving != "off " && !strings.HasPrefix(got.archiving, "off (") {
				t.Errorf("archiving is %q", got.archiving)
			}
			if strings.HasPrefix(got.spaces, s.Dir) {
				t.Errorf("the tablespace is at %s", got.spaces)
			}
			step := got.Step("copy")
			if !strings.Contains(step.Outcome.Says, "every file against the checksum") || step.Outcome.Facts["repository"] != test.repo || step.Outcome.Facts["files"] == "0" {
				t.Errorf("the copy says %+v", step.Outcome)
			}
			for i, dir := range []string{test.store, "production", "spaces"} {
				if diff := cmp.Diff(kept[i], pitrtest.Tree(t, s.Path(dir))); diff != "" {
					t.Errorf("%s was written to:\n%s", dir, diff)
				}
			}
			if p := pitrtest.Resolved(t, e, survey, store, survey.Backups[0].ID); p.Backup.ID != survey.Backups[0].ID || p.Stop > survey.Backups[0].Stop {
				t.Errorf("to the end of the backup it is %+v", p)
			}
		})
	}
}

// What every form promises of the log holds for that of pgBackRest.
func TestLog(t *testing.T) {
	s := theShop(t)
	pitrtest.Log(t, pitrtest.Subject{Kept: s.Kept, Engine: engine(key), Sealed: s.component(recovery.Settings{"repo": {"2"}}), Damaged: s.damaged,
		Segments: "archive/shop/*/*/*-*.lz4"})
}

// A stanza that is not in order, a repository that may not be read and a key that does not
// open it are told apart, each with what to do; none is taken for an empty one.
func TestRefusals(t *testing.T) {
	s := theShop(t)
	for name, test := range map[string]struct {
		damage   func(t *testing.T, dir string)
		settings recovery.Settings
		cipher   string
		kind     error
		says     string
	}{
		"the stanza's own files are gone": {damage: func(t *testing.T, dir string) {
			for _, name := range []string{"archive.info", "archive.info.copy"} {
				if err := os.Remove(filepath.Join(dir, "archive/shop", name)); err != nil {
					t.Fatal(err)
				}
			}
		}, kind: storage.ErrCorrupt, says: "archive.info"},
		"its backups may not be read": {damage: func(t *testing.T, dir string) {
			// By nobody but root, who does not ask.
			if err := os.Chmod(filepath.Join(dir, "backup/shop/backup.info"), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "backup/shop/backup.info.copy"), 0); err != nil {
				t.Fatal(err)
			}
		}, kind: storage.ErrDenied, says: "Permission denied"},
		"its log may not be read": {damage: func(t *testing.T, dir string) {
			all, err := filepath.Glob(filepath.Join(dir, "archive/shop/*/*"))
			if err != nil || len(all) == 0 {
				t.Fatal(all, err)
			}
			if err := os.Chmod(all[0], 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(all[0], 0o700) })
		}, kind: storage.ErrDenied, says: "Permission denied"},
		"the key is wrong":           {settings: recovery.Settings{"repo": {"nearby=2"}}, cipher: "wrong", kind: storage.ErrConfig, says: "stanza shop"},
		"there is no such number":    {settings: recovery.Settings{"repo": {"7"}}, kind: storage.ErrConfig, says: "repo"},
		"it is another repository":   {settings: recovery.Settings{"repo": {"2"}}, says: "it is another repository"},
		"no configuration":           {settings: recovery.Settings{"config": {"/nonexistent/pgbackrest.conf"}}, kind: storage.ErrNotExist, says: "/nonexistent/pgbackrest.conf"},
		"no stanza":                  {settings: recovery.Settings{"stanza": nil}, says: "which stanza"},
		"a name of the program's":    {settings: recovery.Settings{"environment": {"PATH=/"}}, says: `cannot hold "PATH"`},
		"a repository by no number":  {settings: recovery.Settings{"repo": {"nearby"}}, says: `"nearby" is no repository`},
		"too many processes":         {settings: recovery.Settings{"processes": {"1000"}}, says: "`processes` cannot be"},
		"a path that is not a whole": {settings: recovery.Settings{"config": {"pgbackrest.conf"}}, says: "not an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := "plain", s.component(nil)
			if test.damage != nil {
				dir, c = s.damaged(t)
				test.damage(t, s.Path(dir))
			}
			for k, v := range test.settings {
				c.Settings[k] = v
			}
			if test.cipher == "" {
				test.cipher = key
			}
			store := s.Store(t, dir)
			_, err := engine(test.cipher).Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
			if err == nil || !strings.Contains(err.Error(), test.says) || recovery.HintOf(err) == "" || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("the error is %v (hint %q), want %v with %q", err, recovery.HintOf(err), test.kind, test.says)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
	t.Run("another stanza", func(t *testing.T) {
		store := s.Store(t, "plain")
		got := pitrtest.Surveyed(t, engine(key), s.component(recovery.Settings{"stanza": {"other"}}), store)
		if len(got.Backups)+len(got.Findings) > 0 {
			t.Errorf("a copy without it holds %+v", got)
		}
		got = pitrtest.Surveyed(t, engine(key), s.component(recovery.Settings{"stanza": {"other"}, "repo": {"nearby=1"}}), store)
		if len(got.Backups) > 0 || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Says, "missing stanza path") || !strings.HasSuffix(got.Findings[0].Do, "; repository 1 has shop") {
			t.Errorf("a copy that should have it: %+v", got)
		}
		got = pitrtest.Surveyed(t, engine(key), s.component(recovery.Settings{"repo": {"elsewhere=1"}}), store)
		if len(got.Backups)+len(got.Findings) > 0 {
			t.Errorf("a copy that is not the repository holds %+v", got)
		}
	})
	t.Run("it is not installed", func(t *testing.T) {
		missing := recovery.Errorf("install it", "it is not here")
		store := s.Store(t, "plain")
		_, err := backrest.New(backrest.Options{Program: func() (string, error) { return "", missing }}).
			Survey(t.Context(), s.component(nil), recovery.Copy{Name: "nearby"}, store)
		if !errors.Is(err, missing) {
			t.Errorf("%v", err)
		}
	})
}

// A restore whose runner dies goes on with what pgBackRest finds whole, and ends in the
// same data.
func TestSurvive(t *testing.T) {
	s := theShop(t)
	e, store, c := engine(key), s.Store(t, "plain"), s.component(nil)
	p := pitrtest.Resolved(t, e, pitrtest.Surveyed(t, e, c, store), store, fmt.Sprintf("before-xid:%d", s.Incident))
	var got outcome
	o := s.options(c, p, store, &got)
	look := o.Probe
	crash := enginetest.Crash{Options: o, Copies: map[string]string{"nearby": s.Path("plain")},
		Digest: func(ctx context.Context, env recovery.Env) (string, error) {
			err := look(ctx, env)
			return got.data, err
		}}
	// Before the end of the copy is written everything is there.
	crash.Event = nil
	var end uint64
	whole := crash
	whole.Event = func(ev recovery.Event) {
		if p, ok := ev.Payload(); ok {
			if f, ok := p.(recovery.StepFinished); ok && f.Step == "copy" {
				end = ev.Seq
			}
		}
	}
	if got := whole.Run(t); got.Restored != s.Before || end == 0 {
		t.Fatalf("restored was %.80s", got.Restored)
	}
	crash.Cuts = []enginetest.Cut{{Before: end}}
	if again := crash.Whole(t, s.Before); !strings.Contains(again.Step("copy").Outcome.Says, "were there from the attempt before") {
		t.Errorf("the second attempt says %q", again.Step("copy").Outcome.Says)
	}
}

// A repository in a bucket is listed, read and restored as one in a directory is; the keys
// of the bucket come as references and are told to nobody.
func TestBucket(t *testing.T) {
	s := theShop(t)
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	bucket, err := s3.Open(t.Context(), server.Options("backups", "pgbackrest"))
	if err != nil {
		t.Fatal(err)
	}
	port := overTLS(t, server.Proxy.Address())
	if err := s.Config("bucket.conf", "plain", "repo3-type=s3", "repo3-path=/pgbackrest", "repo3-s3-bucket=backups", "repo3-s3-endpoint=127.0.0.1",
		"repo3-s3-region="+storagetest.Region, "repo3-s3-uri-style=path", "repo3-storage-verify-tls=n", "repo3-storage-port="+port); err != nil {
		t.Fatal(err)
	}
	// What pgBackRest has stored in a directory it reads from a bucket.
	for o, err := range s.Store(t, "plain").List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(s.Path("plain/" + o.Key)); err != nil || !info.Mode().IsRegular() || strings.Contains(o.Key, "/latest/") {
			continue
		}
		body, err := os.Open(s.Path("plain/" + o.Key))
		if err != nil {
			t.Fatal(err)
		}
		_, err = bucket.Put(t.Context(), o.Key, body, storage.PutOptions{Size: o.Size})
		if err = errors.Join(err, body.Close()); err != nil {
			t.Fatal(err)
		}
	}
	c := s.component(recovery.Settings{"repo": {"3"}, "config": {s.Path("bucket.conf")}, "environment": {"PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}",
		"PGBACKREST_REPO3_S3_KEY=" + storagetest.Root.AccessKey, "PGBACKREST_REPO3_S3_KEY_SECRET=${CIPHER}"}})
	e := engine(storagetest.Root.SecretKey)
	p := pitrtest.Resolved(t, e, pitrtest.Surveyed(t, e, c, bucket), bucket, fmt.Sprintf("before-xid:%d", s.Incident))
	var got outcome
	o := s.options(c, p, bucket, &got)
	o.Engine, o.Environ = e, map[string]string{"CIPHER": storagetest.Root.SecretKey}
	if state := enginetest.Restore(t, o); state.Result != recovery.ResultPassed || got.data != s.Before {
		says, hint := enginetest.Failure(state)
		t.Fatalf("%s: %s (%s), restored was %.60s", state.Result, says, hint, got.data)
	}
	_, err = engine("wrong").Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: bucket.URL()}, bucket)
	if !errors.Is(err, storage.ErrDenied) || recovery.HintOf(err) == "" {
		t.Errorf("with a wrong key: %v (%s)", err, recovery.HintOf(err))
	}
}

// A repository that is encrypted in a bucket, as pgBackRest itself has stored it there, is
// listed, its log read, and a position of it restored to; the passphrase and the keys of the
// bucket come as references. One that is wrong is told from the other, and neither is told.
func TestBucket_sealed(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	bucket, err := s3.Open(t.Context(), server.Options("backups", "sealed"))
	if err != nil {
		t.Fatal(err)
	}
	s := &source{&backresttest.Source{
		Bucket: []string{"repo2-type=s3", "repo2-s3-bucket=backups", "repo2-s3-endpoint=127.0.0.1", "repo2-s3-region=" + storagetest.Region, "repo2-s3-uri-style=path",
			"repo2-storage-verify-tls=n", "repo2-storage-port=" + overTLS(t, server.Proxy.Address())},
		Opens: []string{"PGBACKREST_REPO2_S3_KEY=" + storagetest.Root.AccessKey, "PGBACKREST_REPO2_S3_KEY_SECRET=" + storagetest.Root.SecretKey}}}
	err = s.Make(true)
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for o, err := range bucket.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		objects++
		body, err := bucket.Open(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len(salted))
		if _, err := io.ReadFull(body, head); err != nil || string(head) != salted {
			t.Errorf("%s is not encrypted: it begins with %q, %v", o.Key, head, err)
		}
		body.Close()
	}
	if objects < 10 {
		t.Fatalf("pgBackRest has stored %d objects", objects)
	}

	opening := func(cipher, secret string) (recovery.Engine, map[string]string) {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]string{"CIPHER": cipher, "SECRET": secret}
		return backrest.New(backrest.Options{Options: pitr.Options{Exe: exe},
			Expand: func(text string) (string, error) {
				return os.Expand(text, func(name string) string { return known[name] }), nil
			}}), known
	}
	c := s.component(recovery.Settings{"repo": {"nearby=2"}, "environment": {"PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}",
		"PGBACKREST_REPO2_S3_KEY=" + storagetest.Root.AccessKey, "PGBACKREST_REPO2_S3_KEY_SECRET=${SECRET}"}})
	e, known := opening(key, storagetest.Root.SecretKey)
	survey := pitrtest.Surveyed(t, e, c, bucket)
	if len(survey.Backups) != 1 || survey.Backups[0].Problem != "" || len(survey.Findings) > 0 || len(survey.Windows) != 1 || len(survey.Windows[0].Gaps) > 0 || survey.Windows[0].To.Time.Before(s.IncidentAt) {
		t.Fatalf("the survey is %+v", survey)
	}
	s.CheckIncident(t, e, c, bucket, survey)
	before := pitrtest.Resolved(t, e, survey, bucket, fmt.Sprintf("before-xid:%d", s.Incident))
	p := pitrtest.Resolved(t, e, survey, bucket, "lsn:"+before.Stop.String())
	if p.Stop != before.Stop || p.Exactness != recovery.ToCommit {
		t.Errorf("by its position the point is %+v, by its transaction %+v", p, before)
	}
	var got outcome
	o := s.options(c, p, bucket, &got)
	o.Engine, o.Environ = e, known
	if state := enginetest.Restore(t, o); state.Result != recovery.ResultPassed || got.data != s.Before {
		says, hint := enginetest.Failure(state)
		t.Fatalf("%s: %s (%s), restored was %.60s", state.Result, says, hint, got.data)
	}
	for name, test := range map[string]struct {
		cipher, secret string
		kind           error
	}{
		"a wrong passphrase":        {"wrong", storagetest.Root.SecretKey, storage.ErrConfig},
		"a wrong key of the bucket": {key, "wrong", storage.ErrDenied},
		"no passphrase":             {"", storagetest.Root.SecretKey, storage.ErrConfig},
	} {
		e, _ := opening(test.cipher, test.secret)
		_, err := e.Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: bucket.URL()}, bucket)
		if !errors.Is(err, test.kind) || recovery.HintOf(err) == "" || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), storagetest.Root.SecretKey) {
			t.Errorf("with %s: %v (%s)", name, err, recovery.HintOf(err))
		}
	}
}

// salted is what everything begins with that pgBackRest has encrypted.
const salted = "Salted__"

// overTLS is the port of a TLS server in front of another server.
func overTLS(t *testing.T, address string) string {
	t.Helper()
	base := httptest.NewUnstartedServer(nil)
	base.StartTLS() // for its certificate
	t.Cleanup(base.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", base.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", address)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					io.Copy(out, in)
					out.Close()
				}()
				io.Copy(in, out)
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
