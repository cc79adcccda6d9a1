package cnpg_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/enginetest/hosted"
	"comeback/recovery"
	"comeback/recovery/cnpg"
	"comeback/recovery/cnpg/cnpgtest"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// server is the one that all tests share; they run one after the other.
var server *cnpgtest.Server

func TestMain(m *testing.M) {
	isolation.Init()
	enginetest.Main(engine, cnpg.NewSwitcher(cnpg.Options{}).Releasers(nil)...)
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	server, err = cnpgtest.Start(ctx)
	defer func() {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err == nil {
		err = os.Setenv("HOME", server.Path("made")) // where kubectl keeps its cache
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func engine() recovery.Engine { return cnpg.New(cnpg.Options{}) }

// component is the shop in Kubernetes, and what else it says.
func component(more ...string) recovery.Component {
	c := recovery.Component{Name: "part", Kind: recovery.Postgres, With: cnpg.Name, Settings: recovery.Settings{"kubeconfig": {server.Kubeconfig}, "context": {cnpgtest.Context},
		"namespace": {cnpgtest.Namespace}, "cluster": {cnpgtest.Source}, "every": {"1ms"}}}
	for i := 0; i < len(more); i += 2 {
		c.Settings[more[i]] = []string{more[i+1]}
	}
	return c
}

func survey(t testing.TB, c recovery.Component) recovery.Survey {
	t.Helper()
	s, err := engine().Survey(t.Context(), c, recovery.Copy{Name: "records"}, nil)
	if err != nil {
		t.Fatalf("Survey: %v (%s)", err, recovery.HintOf(err))
	}
	return s
}

func resolve(t testing.TB, s recovery.Survey, to string) (recovery.Point, error) {
	t.Helper()
	w, err := recovery.ParseWant(to, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return engine().Resolve(t.Context(), s, w, nil)
}

// exactly is a moment as people write it.
func exactly(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

// options are those of a restore to a moment, which holds what came back to what was there.
func options(t testing.TB, to, want string) enginetest.Options {
	t.Helper()
	p, err := resolve(t, survey(t, component()), to)
	if err != nil {
		t.Fatalf("Resolve: %v (%s)", err, recovery.HintOf(err))
	}
	return enginetest.Options{Engine: engine(), Component: component(), Point: p, Owner: recovery.User{UID: -1, GID: -1}, Releasers: cnpg.NewSwitcher(cnpg.Options{}).Releasers(nil),
		Probe: func(ctx context.Context, env recovery.Env) error {
			got, err := everything(ctx, env)
			if err == nil && got != want {
				err = fmt.Errorf("what came back is %q, want %q", got, want)
			}
			return err
		}}
}

// everything is what a check sees, through the binding: it has no password.
func everything(ctx context.Context, env recovery.Env) (text string, err error) {
	b, ok := env.Binding("part")
	if !ok || !b.Scratch || strings.Contains(b.URL, "@") {
		return "", fmt.Errorf("it is bound to %+v", b)
	}
	config, err := postgres.ParseAddress(b.URL)
	if err != nil {
		return "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, hosted.Everything).Scan(&text)
	return text, err
}

// passes fails the test where a restore did not end well, or left something.
func passes(t testing.TB, end recovery.State) {
	t.Helper()
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
		t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
	}
	if left := server.Left(); len(left) > 0 {
		t.Errorf("left in Kubernetes: %v", left)
	}
}

// started calls do when a step has started.
func started(step string, do func()) func(recovery.Event) {
	once := sync.OnceFunc(do)
	return func(e recovery.Event) {
		p, _ := e.Payload()
		if s, ok := p.(recovery.StepStarted); ok && s.Step == step {
			once()
		}
	}
}

func TestSuite(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, engine(), store)
}

// What Kubernetes tells is a survey: every page of backups of this cluster, what cannot be
// restored with its reason, and windows from the backups' ends.
func TestSurvey(t *testing.T) {
	s := survey(t, component())
	var got []string
	for _, b := range s.Backups {
		got = append(got, fmt.Sprintf("%s: %s, %t", b.ID, b.Problem, b.Elsewhere))
	}
	slices.Sort(got)
	want := []string{"shop-db-broken: it has failed: can't execute backup: store is full, true", "shop-db-nightly: , true", "shop-db-now: it is running, true",
		"shop-db-old: it is from before " + server.Snapshot.UTC().Format("2006-01-02 15:04:05Z") + ", the first moment that the store still has, true"}
	if !slices.Equal(got, want) {
		t.Errorf("the survey is\n%s", strings.Join(got, "\n"))
	}
	if len(s.Windows) != 1 || s.Windows[0].Backup != cnpgtest.Backup || s.Windows[0].From.Time.After(server.At) || s.Windows[0].To.Time.Before(server.Latest) || len(s.Findings) > 0 {
		t.Errorf("the windows are %+v, the findings %+v", s.Windows, s.Findings)
	}
	if other := survey(t, component("copy", "elsewhere")); len(other.Backups) > 0 {
		t.Errorf("another copy was asked about: %+v", other)
	}
}

// What is wrong with the source is told, and narrows what can be restored.
func TestSurvey_source(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "shop-db.yaml")
	b, err := json.Marshal(map[string]any{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": map[string]any{"name": cnpgtest.Source}, "spec": server.Spec()})
	if err == nil {
		err = os.WriteFile(manifest, append([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"), b...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	failing := func(spec, status map[string]any) (map[string]any, map[string]any) {
		status["conditions"] = []any{map[string]any{"type": "ContinuousArchiving", "status": "False", "message": "unexpected failure", "lastTransitionTime": server.At.Format(time.RFC3339)}}
		return spec, status
	}
	gone := func(_, _ map[string]any) (map[string]any, map[string]any) { return nil, nil }
	for name, test := range map[string]struct {
		change    func(spec, status map[string]any) (map[string]any, map[string]any)
		component recovery.Component
		finding   string
		problem   string
		end       time.Time
	}{
		"archiving fails": {failing, component(), "archiving of its log fails since " + server.At.Format("2006-01-02 15:04:05Z") + ": unexpected failure", "", server.At.Add(-time.Millisecond)},
		"no archive": {func(spec, status map[string]any) (map[string]any, map[string]any) {
			delete(spec, "backup")
			return spec, status
		}, component(), "its log is archived nowhere", "nothing says where its store is", time.Time{}},
		"gone":               {gone, component(), "nothing says how it was made", "nothing says how a cluster for it is made", time.Time{}},
		"gone, and recorded": {gone, component("manifest", manifest), "can be restored like its manifest says", "", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			defer server.Change(test.change)()
			s := survey(t, test.component)
			b, _ := s.Named(cnpgtest.Backup)
			if !strings.HasPrefix(b.Problem, test.problem) || test.problem == "" && b.Problem != "" {
				t.Errorf("the backup has the problem %q, want %q", b.Problem, test.problem)
			}
			if !slices.ContainsFunc(s.Findings, func(f recovery.Finding) bool { return strings.Contains(f.Says, test.finding) }) {
				t.Errorf("the findings are %+v, want %q", s.Findings, test.finding)
			}
			var end time.Time
			if w := s.WindowFrom(cnpgtest.Backup); w != nil {
				end = w.To.Time
			}
			if !end.Equal(test.end) && name != "archiving fails" || end.After(server.At) {
				t.Errorf("the window ends at %s, want %s", end, test.end)
			}
		})
	}
}

// To latest the whole archive is replayed, also where nothing tells how far it reaches.
func TestResolve_latest(t *testing.T) {
	type parts = map[string]any
	for name, change := range map[string]func(spec, status parts) (parts, parts){
		"archive_timeout is off": func(spec, status parts) (parts, parts) {
			spec["postgresql"].(parts)["parameters"].(parts)["archive_timeout"] = "0"
			return spec, status
		},
		"the backup is younger": func(spec, status parts) (parts, parts) {
			spec["postgresql"].(parts)["parameters"].(parts)["archive_timeout"] = "1h"
			return spec, status
		},
		"no condition": func(spec, status parts) (parts, parts) {
			delete(status, "conditions")
			return spec, status
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer server.Change(change)()
			s := survey(t, component())
			p, err := resolve(t, s, "latest")
			if err != nil {
				t.Fatal(err)
			}
			if !p.AtLeast {
				t.Error("its time is told as the moment itself")
			}
			if len(s.Windows) > 0 || !strings.HasPrefix(p.Says, "the end of the archive of shop-db, from shop-db-nightly") || p.Exactness != recovery.ToSecond || strings.Contains(string(p.Facts), `"target"`) {
				t.Errorf("with the windows %+v it is resolved to %s: %s, %s", s.Windows, p.Exactness, p.Says, p.Facts)
			}
		})
	}
}

// What a cluster has left that had the source's name before can be restored: neither the
// archive nor the data of the new one say anything of it.
func TestSurvey_remade(t *testing.T) {
	defer server.Remake(server.Latest.Add(time.Hour))()
	s := survey(t, component())
	for _, to := range []string{"shop-db-nightly", "shop-db-old", "latest"} {
		p, err := resolve(t, s, to)
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		if !strings.Contains(p.Warnings[len(p.Warnings)-2], "it is of an earlier one") || strings.Contains(string(p.Facts), `"system"`) {
			t.Errorf("%s: the warnings are %q, the facts %s", to, p.Warnings, p.Facts)
		}
	}
	if p, err := resolve(t, s, "before-xid:81214"); err == nil || len(s.Windows) > 0 {
		t.Errorf("a transaction is resolved to %s, the windows are %+v", p.Says, s.Windows)
	}
}

func TestSurvey_refusals(t *testing.T) {
	for name, test := range map[string]struct {
		component  recovery.Component
		fail       func()
		says, hint string
	}{
		"denied": {component(), func() {
			server.Fail("list backups", 1, 403, "Forbidden", `backups.postgresql.cnpg.io is forbidden: User "ops" cannot list resource "backups"`)
		}, `User "ops" cannot list resource "backups"`, "let whoever asks list backups in the namespace shop"},
		"signed out":      {component("context", "signed-out"), nil, "Unauthorized", "sign in again"},
		"nobody answers":  {component(), func() { server.Cut("get clusters", 20) }, "get clusters in shop of production", "check the network"},
		"overloaded":      {component(), func() { server.Fail("get clusters", 20, 503, "ServiceUnavailable", "etcd is late") }, "etcd is late", "check the network"},
		"another context": {component("context", "staging"), nil, `"staging" does not exist`, "`context:`"},
		"no cluster":      {component("cluster", "shop-test"), nil, "there is no cluster shop-test in shop of production", "`cluster:`"},
		"no context":      {component("context", ""), nil, "does not say in which context", "write `context: NAME`"},
		"no kubectl":      {component("kubectl", "/nowhere/kubectl"), nil, "kubectl is not there", "install kubectl"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.fail != nil {
				test.fail()
				defer server.Fine()
			}
			_, err := engine().Survey(t.Context(), test.component, recovery.Copy{Name: "records"}, nil)
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(recovery.HintOf(err), test.hint) {
				t.Errorf("the error is %v (%s), want %q (%s)", err, recovery.HintOf(err), test.says, test.hint)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	s := survey(t, component("cost_per_hour", "0.12 EUR"))
	end := s.Windows[0].To.Time
	for to, want := range map[string]string{
		"latest":                    "second: the end of the archive of shop-db, from shop-db-nightly: at least until",
		exactly(server.At):          "second: shop-db at " + exactly(server.At) + ", from shop-db-nightly",
		"lsn:" + server.BackupEnd:   "commit: shop-db before " + server.BackupEnd,
		"before-xid:81214":          "commit: shop-db before the commit of transaction 81214, from shop-db-nightly",
		"shop-db-nightly":           "backup: shop-db-nightly, which ended by",
		exactly(end.Add(time.Hour)): "refused: " + exactly(end.Add(time.Hour)) + " cannot be restored for sure yet",
		"2020-01-01T00:00:00Z":      "refused: nothing that is listed of part in CloudNativePG reaches",
		"lsn:0/10":                  "refused: no backup of part in CloudNativePG ended before lsn:0/10",
		"shop-db-broken":            "refused: shop-db-broken cannot be restored: it has failed",
		"monday":                    `refused: no backup "monday" of part is listed in CloudNativePG`,
	} {
		t.Run(to, func(t *testing.T) {
			p, err := resolve(t, s, to)
			got := fmt.Sprintf("%s: %s", p.Exactness, p.Says)
			if err != nil {
				got = fmt.Sprintf("refused: %v", err)
				if recovery.HintOf(err) == "" || recovery.ExitOf(err) != recovery.Refused {
					t.Errorf("it is refused with %d and the hint %q", recovery.ExitOf(err), recovery.HintOf(err))
				}
			} else if last := p.Warnings[len(p.Warnings)-1]; !strings.Contains(last, "costs 0.12 EUR an hour") || !strings.Contains(last, "20Gi of storage") {
				t.Errorf("what it costs is not told: %q", p.Warnings)
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("resolved to\n  %s, want\n  %s", got, want)
			}
		})
	}
}

// A restore brings back what was there then, in a cluster like the source that reaches nobody;
// what was made is deleted with its volumes, and nothing else.
func TestRestore(t *testing.T) {
	for to, want := range map[string]string{exactly(server.At): server.Before, fmt.Sprintf("before-xid:%d", server.Lost): server.Before, "lsn:" + server.BackupEnd: server.AtSnapshot, cnpgtest.Backup: server.AtSnapshot, "latest": "9after it 1"} {
		t.Run(to, func(t *testing.T) {
			server.Calls()
			o := options(t, to, want)
			var manifest map[string]any
			look := o.Probe
			o.Probe = func(ctx context.Context, env recovery.Env) error {
				manifest = server.Manifest("run-part")
				return look(ctx, env)
			}
			end := enginetest.Restore(t, o)
			passes(t, end)
			if got, want := server.Calls(), []string{"create run-part", "delete run-part"}; !slices.Equal(got, want) {
				t.Errorf("called %q, want %q", got, want)
			}
			if to == exactly(server.At) {
				harmless(t, manifest)
			}
			if serve := end.Step("serve"); serve.Network == "" || serve.Outcome.Facts[recovery.FactNetwork] != serve.Network {
				t.Errorf("its network is not told: %q, %q", serve.Network, serve.Outcome.Facts)
			}
			told := to == exactly(server.At) || to == cnpgtest.Backup
			if all := end.Reached(); len(all) != 1 || all[0].Time.IsZero() == told {
				t.Errorf("it proves %+v", all)
			}
		})
	}
}

// harmless holds what was created to the source: like it, and without what reaches others.
func harmless(t *testing.T, manifest map[string]any) {
	t.Helper()
	b, err := json.MarshalIndent(manifest["spec"], "", " ")
	if err != nil {
		t.Fatal(err)
	}
	spec := string(b)
	for _, want := range []string{`"size": "20Gi"`, `"storageClass": "fast"`, `"memory": "1Gi"`, `"max_connections": "200"`, `"imageName": "ghcr.io/cloudnative-pg/postgresql:15.10"`, `"instances": 1`,
		`"source": "origin"`, `"serverName": "shop-db"`, `"backupID": "20261128T020000"`, `"targetTime": "` + exactly(server.At) + `"`, `"name": "shop-db-app"`, `"pg_stat_statements"`, `"max_logical_replication_workers": "0"`, `"name": "reader"`, `"timescaledb.max_background_workers": "0"`, `"name": "REGION"`, `"hostnossl all all all reject"`} {
		if !strings.Contains(spec, want) {
			t.Errorf("it was created without %s:\n%s", want, spec)
		}
	}
	for _, other := range []string{`"backup":`, `"plugins"`, `"inheritedMetadata"`, `"services"`, `"monitoring"`, `"synchronous"`, "pg_cron", "pg_net", "PASSWORD", `"initdb"`, hosted.Password} {
		if strings.Contains(spec, other) {
			t.Errorf("it was created with %s:\n%s", other, spec)
		}
	}
}

// What goes wrong on the way is survived where it can be, and told in a sentence where not.
func TestRestore_faults(t *testing.T) {
	t.Run("survived", func(t *testing.T) {
		server.Calls()
		server.Lose("create clusters", 1)
		o := options(t, exactly(server.At), server.Before)
		o.Answer = retryOnce
		look := o.Probe
		o.Event = started("ready", func() { server.Cut("get clusters", 3) })
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			server.Fail("get clusters", 2, 503, "ServiceUnavailable", "etcd is late")
			server.Lose("delete clusters", 1)
			return look(ctx, env)
		}
		defer server.Fine()
		passes(t, enginetest.Restore(t, o))
		if got, want := server.Calls(), []string{"create run-part", "delete run-part"}; !slices.Equal(got, want) {
			t.Errorf("called %q, want %q", got, want)
		}
	})
	// What was in its way and is no more is no trouble, however long the restore takes.
	for _, why := range []string{"raised", "evicted"} {
		t.Run(why, func(t *testing.T) {
			o := options(t, exactly(server.At), server.Before)
			o.Event = started("ready", func() { server.HoldFor("run-part", why, 40) })
			passes(t, enginetest.Restore(t, o))
		})
	}
	hold := func(why string) func() { return func() { server.Hold("run-part", why) } }
	for name, test := range map[string]struct {
		step       string
		happen     func()
		to         string
		says, hint string
	}{
		"denied": {"restore", func() {
			server.Fail("create clusters", 1, 403, "Forbidden", `clusters.postgresql.cnpg.io is forbidden: User "ops" cannot create resource "clusters"`)
		}, "", "cannot create resource", "let whoever asks create clusters.postgresql.cnpg.io in the namespace shop"},
		"invalid": {"restore", func() {
			server.Fail("create clusters", 1, 422, "Invalid", `Cluster.postgresql.cnpg.io "run-part" is invalid: spec.imageName: unknown image`)
		}, "", "spec.imageName: unknown image", "make a new plan"},
		"quota":       {"ready", hold("quota"), "", "exceeded quota: compute", "quota of the namespace raised"},
		"image":       {"ready", hold("image"), "", "ImagePullBackOff", "let the nodes pull the image"},
		"volume":      {"ready", hold("volume"), "", `storageclass.storage.k8s.io "fast" not found`, "let the storage class make it"},
		"node":        {"ready", hold("node"), "", "3 Insufficient memory", "make room"},
		"not reached": {"ready", func() {}, exactly(server.Latest.Add(time.Millisecond)), "recovery ended before configured recovery target was reached", "--to latest"},
	} {
		t.Run(name, func(t *testing.T) {
			to := test.to
			if to == "" {
				to = exactly(server.At)
			}
			o := options(t, to, server.Before)
			o.Event = started(test.step, test.happen)
			defer server.Fine()
			end := enginetest.Restore(t, o)
			if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, test.says) || !strings.Contains(hint, test.hint) {
				t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
			}
			if left := server.Left(); len(left) > 0 {
				t.Errorf("left in Kubernetes: %v", left)
			}
		})
	}
}

func retryOnce(st recovery.StepState) recovery.Choice {
	if st.Attempts > 1 {
		return recovery.ChooseStop
	}
	return recovery.ChooseRetry
}

// Another attempt goes on with the same cluster as soon as what was missing is there, and
// makes another one in the place of another moment's.
func TestRestore_again(t *testing.T) {
	for name, test := range map[string]struct {
		before func()
		calls  []string
	}{
		"the same":         {func() { server.Hold("run-part", "") }, []string{"create run-part", "delete run-part"}},
		"another moment's": {func() { server.Remark("run-part", "comeback-restore-of", "another moment") }, []string{"create run-part", "delete run-part", "create run-part", "delete run-part"}},
	} {
		t.Run(name, func(t *testing.T) {
			server.Calls()
			o := options(t, exactly(server.At), server.Before)
			o.Event = started("ready", func() { server.Hold("run-part", "image") })
			o.Answer = func(st recovery.StepState) recovery.Choice {
				test.before()
				return retryOnce(st)
			}
			passes(t, enginetest.Restore(t, o))
			if got := server.Calls(); !slices.Equal(got, test.calls) {
				t.Errorf("called %q, want %q", got, test.calls)
			}
		})
	}
}

// Nothing is deleted, or taken for restored, but what this run has claimed.
func TestClaims(t *testing.T) {
	for name, test := range map[string]struct {
		before string // the step before which somebody else has it
		happen func()
		says   string
		kept   []string
	}{
		"in the way": {"restore", func() { server.Foreign("run-part") }, "this run has not made it", nil},
		"taken over": {"serve", func() { server.Remark("run-part", "comeback-claim", "another's") }, "is not one that this run has made", []string{"run-part"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if err := server.Discard("run-part"); err != nil {
					t.Error(err)
				}
			}()
			o := options(t, exactly(server.At), "")
			o.Kept, o.Event = test.kept, started(test.before, test.happen)
			server.Calls()
			if says, hint := enginetest.Failure(enginetest.Restore(t, o)); !strings.Contains(says, test.says) || hint == "" {
				t.Errorf("the restore ended with %s (%s)", says, hint)
			}
			if calls := server.Calls(); slices.Contains(calls, "delete run-part") || len(server.Left()) != 1 {
				t.Errorf("something was deleted: %q, %q stays", calls, server.Left())
			}
		})
	}
}

// A run that dies goes on from what Kubernetes has, and creates nothing twice.
func TestKilled(t *testing.T) {
	o := options(t, exactly(server.At), "")
	o.Probe = nil
	var events []uint64
	ends := map[string]uint64{}
	crash := enginetest.Crash{Options: o, Copies: map[string]string{"records": t.TempDir()}, Digest: everything}
	whole := crash
	whole.Event = func(e recovery.Event) {
		events = append(events, e.Seq)
		p, _ := e.Payload()
		if f, ok := p.(recovery.StepFinished); ok {
			ends[f.Step] = e.Seq
		}
	}
	want := whole.Run(t).Restored
	if want != server.Before {
		t.Fatalf("restored %q, want %q", want, server.Before)
	}
	cuts := []enginetest.Cut{{Before: ends["restore"]}, {After: ends["serve"]}}
	if enginetest.Soak() {
		cuts = nil
		for _, n := range events {
			if n <= ends["serve"] {
				cuts = append(cuts, enginetest.Cut{After: n}, enginetest.Cut{Before: n})
			}
		}
	}
	for _, cut := range cuts {
		t.Run(cut.String(), func(t *testing.T) {
			server.Calls()
			crash.Cuts = []enginetest.Cut{cut}
			crash.Whole(t, want)
			if got, want := server.Calls(), []string{"create run-part", "delete run-part"}; !slices.Equal(got, want) {
				t.Errorf("called %q, want %q", got, want)
			}
			if left := server.Left(); len(left) > 0 {
				t.Errorf("left in Kubernetes: %v", left)
			}
		})
	}
}
