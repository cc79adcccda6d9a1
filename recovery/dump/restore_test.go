package dump_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// component is the one that the tests restore.
var component = recovery.Component{Name: "database", Kind: recovery.Postgres}

// directory is a copy in a directory with the given objects.
func directory(t testing.TB, objects map[string][]byte) storage.Store {
	t.Helper()
	dir := t.TempDir()
	for key, content := range objects {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func gz(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, content []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(content, nil)
}

// survey surveys a copy that can be judged.
func survey(t testing.TB, c recovery.Component, store storage.Store) recovery.Survey {
	t.Helper()
	s, err := dump.New(dump.Options{}).Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run restores the newest dump of a copy, and gives how the run ended and what
// the restored database holds.
func run(t testing.TB, o enginetest.Options, store storage.Store) (end recovery.State, restored string) {
	t.Helper()
	o = newest(t, o, store)
	probe := o.Probe
	o.Probe = func(ctx context.Context, env recovery.Env) error {
		b, ok := env.Binding(o.Component.Name)
		if !ok || !b.Scratch {
			return fmt.Errorf("the binding is %+v", b)
		}
		restored = state(t, b.URL)
		if probe == nil {
			return nil
		}
		return probe(ctx, env)
	}
	return enginetest.Restore(t, o), restored
}

// newest restores the newest dump of a copy.
func newest(t testing.TB, o enginetest.Options, store storage.Store) enginetest.Options {
	t.Helper()
	if o.Component.Name == "" {
		o.Component = component
	}
	if o.Engine == nil {
		o.Engine = dump.New(dump.Options{})
	}
	s := survey(t, o.Component, store)
	p, err := o.Engine.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, store)
	if err != nil {
		t.Fatalf("%v; backups %+v", err, s.Backups)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	o.Point, o.Owner, o.Stores = p, owner, map[string]storage.Store{"nearby": store}
	o.Releasers = []recovery.Releaser{postgres.ReleaseCluster{}}
	return o
}

// step is a step's state.
func step(t testing.TB, s recovery.State, id string) *recovery.StepState {
	t.Helper()
	st := s.Step(id)
	if st == nil {
		t.Fatalf("there is no step %s", id)
	}
	return st
}

// directoryDump is a dump of the shop as a directory of files.
func directoryDump(t testing.TB) map[string][]byte {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "shop")
	program(t, "pg_dump", "--format=directory", "--file", archive, "--dbname", source.URL("shop"))
	files := map[string][]byte{}
	entries, err := os.ReadDir(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(archive, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files["db/2026-11-22/"+e.Name()] = b
	}
	return files
}

// What pg_dump and pg_dumpall write in any form comes back as it was.
func TestRestore_EveryForm(t *testing.T) {
	want := state(t, source.URL("shop"))
	files := directoryDump(t)
	globals := program(t, "pg_dumpall", "--globals-only", "--dbname", source.URL("postgres"))
	custom := filepath.Join(t.TempDir(), "shop.dump")
	program(t, "pg_dump", "--format=custom", "--file", custom, "--dbname", source.URL("shop"))
	customBytes, err := os.ReadFile(custom)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		objects  map[string][]byte
		database string // asked for
		restored string
		form     string
		// creates says that the dump brings the database with it.
		creates bool
	}{
		"plain":                       {objects: map[string][]byte{"db/2026-11-22.sql": dumpOf(t, "shop")}, form: "plain SQL"},
		"plain, gzip":                 {objects: map[string][]byte{"db/2026-11-22.sql.gz": gz(t, dumpOf(t, "shop"))}, form: "plain SQL, gzip"},
		"behind globals":              {objects: map[string][]byte{"shop.sql": slices.Concat(globals, dumpOf(t, "shop"))}, form: "plain SQL"},
		"before globals, gzip":        {objects: map[string][]byte{"shop.sql.gz": gz(t, slices.Concat(dumpOf(t, "shop"), globals))}, form: "plain SQL, gzip"},
		"create, behind globals":      {objects: map[string][]byte{"shop.sql": slices.Concat(globals, dumpOf(t, "shop", "--create"))}, restored: "shop", form: "plain SQL of a whole cluster", creates: true},
		"inserts, clean, zstd":        {objects: map[string][]byte{"2026-11-22.zst": zst(t, dumpOf(t, "shop", "--inserts", "--clean"))}, form: "plain SQL, zstd"},
		"create and clean":            {objects: map[string][]byte{"shop.sql": dumpOf(t, "shop", "--create", "--clean", "--if-exists")}, restored: "shop", form: "plain SQL", creates: true},
		"create, gzip":                {objects: map[string][]byte{"shop.sql.gz": gz(t, dumpOf(t, "shop", "--create", "--verbose"))}, restored: "shop", form: "plain SQL, gzip", creates: true},
		"custom":                      {objects: map[string][]byte{"shop.dump": customBytes}, restored: "shop", form: "custom archive", creates: true},
		"custom through a pipe, gzip": {objects: map[string][]byte{"shop.dump.gz": gz(t, dumpOf(t, "shop", "--format=custom"))}, restored: "shop", form: "custom archive, gzip", creates: true},
		"tar":                         {objects: map[string][]byte{"shop.tar": dumpOf(t, "shop", "--format=tar")}, restored: "shop", form: "tar archive", creates: true},
		"directory":                   {objects: files, restored: "shop", form: "directory archive", creates: true},
		"pg_dumpall, gzip": {objects: map[string][]byte{"all.sql.gz": gz(t, program(t, "pg_dumpall", "--clean", "--dbname", source.URL("postgres")))}, database: "shop",
			restored: "shop", form: "plain SQL of a whole cluster, gzip", creates: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := component
			if test.database != "" {
				c.Settings = recovery.Settings{"database": {test.database}}
			}
			var roles, comment string
			end, restored := run(t, enginetest.Options{Component: c, Probe: func(ctx context.Context, env recovery.Env) error {
				b, _ := env.Binding(c.Name)
				roles = ask(t, b.URL, "select string_agg(rolname || ':' || rolcanlogin || ':' || coalesce(rolpassword, ''), ',' order by rolname) from pg_authid where rolname !~ '^pg_'")
				comment = ask(t, b.URL, "select concat_ws('|', current_database(), shobj_description(oid, 'pg_database'), (select setconfig::text from pg_db_role_setting s where setdatabase = d.oid and setrole = 0)) from pg_database d where datname = current_database()")
				return nil
			}}, directory(t, test.objects))
			if end.Result != recovery.ResultPassed {
				says, hint := enginetest.Failure(end)
				t.Fatalf("the run ended as %s: %s (%s) %v", end.Result, says, hint, step(t, end, "restore").Outcome.Exceptions)
			}
			if diff := cmp.Diff(want, restored); diff != "" {
				t.Errorf("the restored database differs:\n%s", diff)
			}
			if want := "app:false:,postgres:true:,reporting:false:,shop owner:false:"; roles != want {
				t.Errorf("roles %s", roles)
			}
			if want := "shop|the shop|{statement_timeout=1h}"; test.creates && comment != want {
				t.Errorf("database %s, want %s", comment, want)
			}
			o := step(t, end, "restore").Outcome
			if o.Facts["form"] != test.form || o.Facts["tables"] != "7" {
				t.Errorf("facts %v", o.Facts)
			}
			if !slices.ContainsFunc(o.Remarks, func(r string) bool {
				return strings.HasPrefix(r, "roles created without login: ") && strings.Contains(r, "shop owner")
			}) {
				t.Errorf("the roles are not reported: %v", o.Remarks)
			}
		})
	}
}

// ask gives the single value of a query.
func ask(t testing.TB, url, query string) string {
	t.Helper()
	return strings.TrimSpace(string(program(t, "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", query)))
}

// The object of the one-line nightly job, made by that job, out of a bucket.
func TestRestore_NightlyJobFromS3(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups-offsite")
	store, err := s3.Open(t.Context(), server.Options("backups-offsite", ""))
	if err != nil {
		t.Fatal(err)
	}
	job := exec.CommandContext(t.Context(), "/bin/sh", "-c", `"$PG_DUMP" "$DATABASE_URL" | gzip`)
	job.Env = []string{"PATH=/usr/bin:/bin", "PG_DUMP=" + source.Cluster().Tools.Program("pg_dump"), "DATABASE_URL=" + source.URL("shop")}
	out, err := job.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := job.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "db/2026-11-22.sql.gz", out, storage.PutOptions{Size: -1}); err != nil {
		t.Fatal(err)
	}
	if err := job.Wait(); err != nil {
		t.Fatal(err)
	}
	// A connection that drops on the way is taken up again.
	faulty := storagetest.NewFaulty(store, storagetest.Fault{Op: storagetest.OnRead, At: 1000, After: 1, Times: 1, Err: storagetest.Dropped})
	end, restored := run(t, enginetest.Options{}, faulty)
	if end.Result != recovery.ResultPassed {
		says, hint := enginetest.Failure(end)
		t.Fatalf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
	if diff := cmp.Diff(state(t, source.URL("shop")), restored); diff != "" {
		t.Errorf("the restored database differs:\n%s", diff)
	}
}

func TestSuite(t *testing.T) {
	enginetest.Suite(t, dump.New(dump.Options{}), directory(t, nil))
}
