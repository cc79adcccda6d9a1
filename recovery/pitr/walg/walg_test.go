package walg_test

import (
	"context"
	"errors"
	"fmt"
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
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walg"
	"comeback/recovery/pitr/walg/walgtest"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// outcome is what a restore has come to.
type outcome struct {
	recovery.State
	data, archiving, spaces string
}

// options restore a point, and look at what came back.
func (s *source) options(c recovery.Component, p recovery.Point, store storage.Store, got *outcome) enginetest.Options {
	return enginetest.Options{Engine: s.engine(walgtest.Key), Component: c, Point: p, Owner: s.Owner, Environ: map[string]string{"CIPHER": walgtest.Key},
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
			err = conn.QueryRow(ctx, pitrtest.Everything).Scan(&got.data)
			return errors.Join(err, conn.QueryRow(ctx, "select current_setting('archive_mode') || ' ' || current_setting('archive_command')").Scan(&got.archiving),
				conn.QueryRow(ctx, "select pg_tablespace_location(oid) from pg_tablespace where spcname = 'fast'").Scan(&got.spaces))
		}}
}

// An incident is undone from backups that WAL-G made itself: to just before the transaction,
// with the data as they were, from a delta backup with the one that it builds on and from an
// encrypted storage; nothing is written to the storage, to the source's own tablespace, or
// beside, and nothing tells the key.
func TestRestore(t *testing.T) {
	s := theShop(t)
	for name, test := range map[string]struct {
		store string
		forms []string
	}{
		"a directory":          {"plain", []string{"full backup of WAL-G", "delta backup of WAL-G"}},
		"an encrypted storage": {"sealed", []string{"full backup of WAL-G"}},
	} {
		t.Run(name, func(t *testing.T) {
			temp := t.TempDir()
			if err := os.Chmod(temp, 0o755); err != nil {
				t.Fatal(err)
			}
			e, store, c := s.engine(walgtest.Key), s.Store(t, test.store), s.component(test.store+".json", recovery.Settings{"concurrency": {"2"}})
			kept := [][]string{pitrtest.Tree(t, s.Path(test.store)), pitrtest.Tree(t, s.Path("spaces"))}
			survey := pitrtest.Surveyed(t, e, c, store)
			var forms []string
			for _, b := range survey.Backups {
				forms = append(forms, b.Form)
				if b.Problem != "" || b.Size() == 0 || b.Stop == 0 || b.Timeline != 1 || !b.Taken.Known() || b.Details["system identifier"] == "" {
					t.Errorf("backup %+v", b)
				}
			}
			if diff := cmp.Diff(test.forms, forms); diff != "" {
				t.Fatal(diff)
			}
			if last := survey.Backups[len(forms)-1]; len(forms) > 1 && last.Details["builds on"] != survey.Backups[0].ID {
				t.Errorf("the delta backup builds on %q", last.Details["builds on"])
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
			for _, to := range []string{s.IncidentAt.Add(-time.Microsecond).Format(time.RFC3339Nano), "lsn:" + p.Stop.String()} {
				if again := pitrtest.Resolved(t, e, survey, store, to); again.Stop != p.Stop {
					t.Errorf("by %s it is %s, by the transaction %s", to, again.Stop, p.Stop)
				}
			}
			var got outcome
			got.State = enginetest.Restore(t, s.options(c, p, store, &got))
			if got.Result != recovery.ResultPassed {
				says, hint := enginetest.Failure(got.State)
				t.Fatalf("the run ended as %s: %s (%s)", got.Result, says, hint)
			}
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
			if !strings.Contains(step.Outcome.Says, "files of its list are there") || step.Outcome.Facts["files"] == "0" || len(step.Outcome.Remarks) != 1 {
				t.Errorf("the copy says %+v", step.Outcome)
			}
			for i, dir := range []string{test.store, "spaces"} {
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

// What every form promises of the log holds for that of WAL-G.
func TestLog(t *testing.T) {
	s := theShop(t)
	pitrtest.Log(t, pitrtest.Subject{Kept: s.Kept, Engine: s.engine(walgtest.Key), Sealed: s.component("sealed.json", nil), Damaged: s.damaged,
		Segments: "wal_005/????????????????????????.lz4"})
}

// A backup whose base is gone says so.
func TestSurvey_baseGone(t *testing.T) {
	s := theShop(t)
	dir, c := s.damaged(t)
	e, store := s.engine(""), s.Store(t, dir)
	full := pitrtest.Surveyed(t, e, c, store).Backups[0].ID
	for _, path := range []string{full, full + "_backup_stop_sentinel.json"} {
		if err := os.RemoveAll(s.Path(dir + "/basebackups_005/" + path)); err != nil {
			t.Fatal(err)
		}
	}
	if left := pitrtest.Surveyed(t, e, c, store); len(left.Backups) != 1 || !strings.Contains(left.Backups[0].Problem, "builds on a backup") {
		t.Errorf("without the full backup there is %+v", left.Backups)
	}
}

// A storage that is not in order, one that may not be read and a key that does not open it
// are told apart, each with what to do; none is taken for an empty one, and what does not
// fit is refused.
func TestRefusals(t *testing.T) {
	s := theShop(t)
	for name, test := range map[string]struct {
		damage   func(t *testing.T, dir string)
		config   string
		settings recovery.Settings
		cipher   string
		kind     error
		says     string
	}{
		"its backups may not be read": {damage: func(t *testing.T, dir string) { forbid(t, dir+"/basebackups_005") }, kind: storage.ErrDenied, says: "permission denied"},
		"its log may not be read":     {damage: func(t *testing.T, dir string) { forbid(t, dir+"/wal_005") }, kind: storage.ErrDenied, says: "permission denied"},
		"a segment may not be read": {damage: func(t *testing.T, dir string) {
			all, err := filepath.Glob(dir + "/wal_005/*.lz4")
			if err != nil || len(all) == 0 {
				t.Fatal(all, err)
			}
			forbid(t, all[len(all)-1])
		}, kind: storage.ErrDenied, says: "permission denied"},
		"it is compressed with what this WAL-G does not have": {damage: func(t *testing.T, dir string) {
			all, err := filepath.Glob(dir + "/wal_005/????????????????????????.lz4")
			for _, path := range all {
				err = errors.Join(err, os.Rename(path, strings.TrimSuffix(path, ".lz4")+".br"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, kind: storage.ErrConfig, says: "compressed with brotli"},
		"the key is wrong":             {config: "sealed.json", cipher: "nonsense", kind: storage.ErrConfig, says: "openpgp"},
		"the key is not set":           {config: "sealed.json", settings: recovery.Settings{"environment": nil}, kind: storage.ErrConfig, says: "its key is not set"},
		"it is another storage":        {config: "sealed.json", cipher: walgtest.Key, says: "it is another storage"},
		"no configuration":             {settings: recovery.Settings{"config": {"/nonexistent/walg.json"}}, kind: storage.ErrConfig, says: "configured storage"},
		"a name of the host's":         {settings: recovery.Settings{"environment": {"PATH=/"}}, says: `cannot hold "PATH"`},
		"an agent of the host":         {settings: recovery.Settings{"environment": {"SSH_AUTH_SOCK=/"}}, says: `cannot hold "SSH_AUTH_SOCK"`},
		"two configurations":           {settings: recovery.Settings{"config": {"/a.json", "/b.json"}}, says: "configurations /a.json, /b.json"},
		"too many at a time":           {settings: recovery.Settings{"concurrency": {"1000"}}, says: "`concurrency` cannot be"},
		"a path that is not a whole":   {settings: recovery.Settings{"config": {"walg.json"}}, says: "not an absolute path"},
		"a path of a copy is no whole": {settings: recovery.Settings{"config": {"nearby=walg.json"}}, says: "not an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := "plain", s.component("plain.json", nil)
			switch {
			case test.damage != nil:
				dir, c = s.damaged(t)
				test.damage(t, s.Path(dir))
			case test.config != "":
				c = s.component(test.config, nil)
				if !strings.Contains(test.says, "another") {
					dir = "sealed"
				}
			}
			for k, v := range test.settings {
				c.Settings[k] = v
			}
			store := s.Store(t, dir)
			_, err := s.engine(test.cipher).Survey(t.Context(), c, recovery.Copy{Name: "nearby", URL: store.URL()}, store)
			if err == nil || !strings.Contains(err.Error(), test.says) || recovery.HintOf(err) == "" || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("the error is %v (hint %q), want %v with %q", err, recovery.HintOf(err), test.kind, test.says)
			}
		})
	}
	t.Run("a copy that is not the storage", func(t *testing.T) {
		store := s.Store(t, "spaces")
		for name, settings := range map[string]recovery.Settings{"by what is in it": nil, "by its name": {"config": {"elsewhere=" + s.Path("plain.json")}},
			"by the name of another": {"repository": {"elsewhere"}}} {
			if got := pitrtest.Surveyed(t, s.engine(""), s.component("plain.json", settings), store); len(got.Backups)+len(got.Findings) > 0 {
				t.Errorf("%s it holds %+v", name, got)
			}
		}
		for name, settings := range map[string]recovery.Settings{"config": {"config": {"nearby=" + s.Path("plain.json")}}, "repository": {"repository": {"nearby"}}} {
			if got := pitrtest.Surveyed(t, s.engine(""), s.component("plain.json", settings), store); len(got.Backups) != 2 {
				t.Errorf("where %s says that it stands for the storage, it holds %+v", name, got)
			}
		}
		if left, err := os.ReadDir(s.Path("spaces/wal_005")); err == nil {
			t.Errorf("a folder was made: %v", left)
		}
	})
	t.Run("it is not installed", func(t *testing.T) {
		missing := recovery.Errorf("install it", "it is not here")
		store := s.Store(t, "plain")
		_, err := walg.New(walg.Options{Program: func() (string, error) { return "", missing }}).
			Survey(t.Context(), s.component("plain.json", nil), recovery.Copy{Name: "nearby"}, store)
		if !errors.Is(err, missing) {
			t.Errorf("%v", err)
		}
	})
}

// forbid takes away what the server's user may do with a path; root does not ask.
func forbid(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(path, info.Mode()) })
}

// Who does not ask for WAL-G is not told of backups that nobody but WAL-G can restore, nor
// to mend what it keeps.
func TestNative(t *testing.T) {
	s := theShop(t)
	for _, name := range []string{"plain", "sealed"} {
		c := recovery.Component{Name: "database", Kind: recovery.Postgres}
		found := pitrtest.Surveyed(t, pitr.New(pitr.Options{Exe: "/proc/self/exe"}), c, s.Store(t, name))
		if len(found.Backups)+len(found.Windows) > 0 {
			t.Errorf("%s: %+v, %+v", name, found.Backups, found.Windows)
		}
		if len(found.Findings) != 1 || found.Findings[0].Do != "" || !strings.Contains(found.Findings[0].Says, "with: wal-g") {
			t.Errorf("%s: %+v", name, found.Findings)
		}
	}
}
