package commands_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/commands"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/storage"
)

func TestMain(m *testing.M) {
	isolation.Init()
	enginetest.Main(func() recovery.Engine { return commands.New(recovery.Postgres, commands.Options{Expand: expand}) },
		postgres.ReleaseCluster{}, commands.Releaser{Expand: expand})
	os.Exit(m.Run())
}

// script is a program of the runbook.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nset -eu\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// example is one of the programs that are shipped.
func example(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "examples", "commands", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func component(kind recovery.ComponentKind, program string, more map[string][]string) recovery.Component {
	c := recovery.Component{Name: "part", Kind: kind, With: commands.Name, Settings: recovery.Settings{"list": {program, "list"}, "fetch": {program, "fetch"}}}
	for k, v := range more {
		c.Settings[k] = v
	}
	return c
}

func surveyed(t *testing.T, c recovery.Component, dir string) (recovery.Survey, error) {
	t.Helper()
	return commands.New(c.Kind, commands.Options{Expand: expand}).Survey(t.Context(), c, recovery.Copy{Name: "nightly", URL: "file://" + dir}, nil)
}

// expand knows one secret.
func expand(text string) (string, error) { return strings.ReplaceAll(text, "${TOKEN}", secret), nil }

const secret = "correct-horse"

func TestSuite(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []recovery.ComponentKind{recovery.Postgres, recovery.Files} {
		enginetest.Suite(t, commands.New(kind, commands.Options{}), store)
	}
}

// What list prints is a survey: backups, windows, and findings for what cannot be
// understood.
func TestSurvey(t *testing.T) {
	program := script(t, `
[ "$1 $COMEBACK_COPY $COMEBACK_COMPONENT $TOKEN" = "list nightly part `+secret+`" ] || { echo "asked for $*" >&2; exit 3; }
cat <<'X'
{"id": "b", "taken": "2026-11-28T02:00:00+01:00", "ended": "2026-11-28T01:04:00Z", "bytes": "9007199254740993", "form": "volume snapshot", "details": {"region": "eu"}}
{"id": "a", "taken": "2026-11-27T01:00:00Z", "problem": "it is being deleted"}

{"window": "automated", "from": "2026-11-21T00:00:00Z", "to": "2026-11-28T10:15:00Z"}
{"id": "a", "taken": "2026-11-27T01:00:00Z"}
{"id": "no time"}
{"id": "c", "taken": "2026-11-28T02:00:00Z", "bytes": "many"}
{"window": "w", "from": "2026-11-28T02:00:00Z", "to": "2026-11-27T02:00:00Z"}
{"something": "else"}
not JSON
X`)
	s, err := surveyed(t, component(recovery.Postgres, program, map[string][]string{"environment": {"TOKEN=${TOKEN}"}}), "/srv/nightly")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range s.Backups {
		got = append(got, fmt.Sprintf("%s %s %s %d %q %v", b.ID, b.Form, b.Taken.Says(), b.Size(), b.Problem, b.Details))
	}
	for _, w := range s.Windows {
		got = append(got, fmt.Sprintf("%s: %s to %s", w.Backup, w.From.Time.Format(time.RFC3339), w.To.Time.Format(time.RFC3339)))
	}
	for _, f := range s.Findings {
		got = append(got, f.Object+": "+f.Says)
	}
	want := []string{
		`a backup of a command 2026-11-27 01:00:00 UTC 0 "it is being deleted" map[]`,
		`b volume snapshot between 2026-11-28 01:00:00 UTC and 2026-11-28 01:04:00 UTC 9007199254740993 "" map[region:eu]`,
		`automated window, to the second 2026-11-28 10:15:00 UTC 0 "" map[]`,
		"automated: 2026-11-21T00:00:00Z to 2026-11-28T10:15:00Z",
		`line 5 of list: backup "a" is there twice`,
		`line 6 of list: backup "no time" does not say when it was taken: ` + "`taken` is a time with an offset",
		`line 7 of list: backup "c" has no size: ` + "`bytes` is a number in quotes",
		`line 8 of list: window "w" has no span: ` + "`from` and `to` are times with an offset",
		"line 9 of list: names neither a backup (`id`) nor a window (`window`)",
	}
	if len(got) != len(want)+1 || !strings.HasPrefix(got[len(want)], "line 10 of list: is no JSON object") {
		t.Errorf("the survey is\n%s", strings.Join(got, "\n"))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("line %d is\n  %s, want\n  %s", i, got[i], want[i])
		}
	}
	other, err := surveyed(t, component(recovery.Postgres, program, map[string][]string{"copy": {"elsewhere"}}), "/srv/nightly")
	if err != nil || len(other.Backups) > 0 {
		t.Errorf("another copy was asked about: %+v, %v", other, err)
	}
}

func TestSurvey_refusals(t *testing.T) {
	for name, test := range map[string]struct {
		program string
		more    map[string][]string
		says    string
	}{
		"it fails":         {script(t, `echo "warming up" >&2; echo "token expired" >&2; exit 4`), nil, "exit status 4: token expired"},
		"it is not there":  {"/nonexistent/program", nil, "no such file"},
		"no absolute path": {"program", nil, "is not an absolute path"},
		"no command":       {"", nil, "no command to list"},
		"a name of ours":   {"/bin/true", map[string][]string{"environment": {"COMEBACK_DIR=/"}}, `cannot hold "COMEBACK_DIR"`},
		"no name":          {"/bin/true", map[string][]string{"environment": {"x"}}, `cannot hold "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := surveyed(t, component(recovery.Files, test.program, test.more), "/srv")
			if err == nil || !strings.Contains(err.Error(), test.says) || recovery.HintOf(err) == "" {
				t.Errorf("the error is %v (hint %q), want %q in it", err, recovery.HintOf(err), test.says)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := component(recovery.Files, script(t, "exec sleep 1000"), nil)
	if _, err := commands.New(recovery.Files, commands.Options{}).Survey(ctx, c, recovery.Copy{Name: "x"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// When nobody waits for a list any more, the command ends with all that it has started; so it
// does where it lists more than is kept.
func TestSurvey_ended(t *testing.T) {
	for name, c := range map[string]struct {
		goesOn string
		says   string
	}{
		"nobody waits":  {"wait", context.Canceled.Error()},
		"without bound": {"tr '\\0' x </dev/zero", "it prints more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begun, held := filepath.Join(dir, "begun"), filepath.Join(dir, "held")
			for _, fifo := range []string{begun, held} {
				if err := syscall.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			program := script(t, fmt.Sprintf("exec 9<>%q\nsleep 1000 &\necho yes >%q\n%s\n", held, begun, c.goesOn))
			failed := make(chan error, 1)
			go func() {
				_, err := commands.New(recovery.Files, commands.Options{Expand: expand}).Survey(ctx, component(recovery.Files, program, nil), recovery.Copy{Name: "nightly", URL: "file:///srv"}, nil)
				failed <- err
			}()
			if _, err := os.ReadFile(begun); err != nil {
				t.Fatal(err)
			}
			if c.says == context.Canceled.Error() {
				cancel()
			}
			if err := <-failed; err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it ended with %v", err)
			}
			// Nobody has the pipe open for reading any more.
			if f, err := os.OpenFile(held, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
				f.Close()
				t.Error("what the command has started is still there")
			}
		})
	}
}

func TestResolve(t *testing.T) {
	program := script(t, `cat <<'X'
{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}
{"id": "broken", "taken": "2026-11-23T01:00:00Z", "problem": "its volume is gone"}
{"window": "automated", "from": "2026-11-25T00:00:00Z", "to": "2026-11-28T10:15:00Z"}
X`)
	s, err := surveyed(t, component(recovery.Postgres, program, nil), "/srv")
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{
		"latest":                      "second 2026-11-28T10:15:00Z automated",
		"2026-11-29T00:00:00Z":        "second 2026-11-28T10:15:00Z automated",
		"2026-11-26T02:41:07.5+01:00": "second 2026-11-26T01:41:07Z automated",
		"2026-11-24T00:00:00Z":        "backup 2026-11-22T01:00:00Z sunday",
		"sunday":                      "backup 2026-11-22T01:00:00Z sunday",
		"2026-11-21T00:00:00Z":        "refused: nothing that is listed of part in nightly reaches 2026-11-21T00:00:00Z; the first after it is sunday of 2026-11-22 01:00:00Z",
		"broken":                      "refused: broken cannot be restored: its volume is gone; the last before it is sunday of 2026-11-22 01:00:00Z, the first after it automated of 2026-11-25 00:00:00Z",
		"monday":                      `refused: no backup "monday" of part is listed in nightly; the first after it is sunday of 2026-11-22 01:00:00Z`,
		"before-xid:81214":            `refused: no positions of the log of part are listed in nightly, so before-xid:81214 cannot be reached; use "latest", a time with its offset or the id of a backup`,
	} {
		t.Run(to, func(t *testing.T) {
			w, err := recovery.ParseWant(to, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			p, err := commands.New(recovery.Postgres, commands.Options{}).Resolve(t.Context(), s, w, nil)
			got := fmt.Sprintf("%s %s %s", p.Exactness, p.Time.Format(time.RFC3339), p.Backup.ID)
			if err != nil {
				got = fmt.Sprintf("refused: %v; %s", err, recovery.HintOf(err))
			}
			if got != want {
				t.Errorf("resolved to\n  %s, want\n  %s", got, want)
			}
		})
	}
}

// restored executes the plan for what is newest; look sees what the component is
// bound to.
func restored(t *testing.T, c recovery.Component, dir string, owner recovery.User, look func(ctx context.Context, b recovery.Binding) error) recovery.State {
	t.Helper()
	o := newest(t, c, dir, owner)
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	o.Stores = map[string]storage.Store{"nightly": store}
	if look != nil {
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			b, ok := env.Binding("part")
			if !ok {
				return errors.New("it is bound to nothing")
			}
			return look(ctx, b)
		}
	}
	return enginetest.Restore(t, o)
}

// newest are the options of a restore of what is newest.
func newest(t *testing.T, c recovery.Component, dir string, owner recovery.User) enginetest.Options {
	t.Helper()
	e := commands.New(c.Kind, commands.Options{Expand: expand})
	s, err := surveyed(t, c, dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return enginetest.Options{Engine: e, Component: c, Point: p, Owner: owner, Environ: map[string]string{"TOKEN": secret}, Uncounted: true, // unless the command tells
		Releasers: []recovery.Releaser{postgres.ReleaseCluster{}, commands.Releaser{Expand: expand}}}
}

var nobody = recovery.User{UID: -1, GID: -1}

// The shipped example for trees that rsync has made.
func TestExample_datedTrees(t *testing.T) {
	dir := t.TempDir()
	for night, complete := range map[string]bool{"2026-11-27T020000Z": true, "2026-11-28T020000Z": true, "2026-11-29T020000Z": false} {
		tree := filepath.Join(dir, night, "sub dir")
		err := os.MkdirAll(tree, 0o750)
		if err == nil {
			err = os.WriteFile(filepath.Join(tree, "bag\n17"), []byte(night), 0o640)
		}
		if err == nil {
			err = os.Symlink("bag\n17", filepath.Join(tree, "link"))
		}
		if err == nil && complete {
			mark := filepath.Join(dir, night, "COMPLETE")
			begun, errTime := time.Parse("2006-01-02T150405Z", night)
			err = errors.Join(errTime, os.WriteFile(mark, nil, 0o600), os.Chtimes(mark, begun, begun.Add(time.Hour)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	end := restored(t, component(recovery.Files, example(t, "dated-trees"), nil), dir, nobody, func(_ context.Context, b recovery.Binding) error {
		tree := strings.TrimPrefix(b.URL, "file://")
		text, err := os.ReadFile(filepath.Join(tree, "sub dir", "link"))
		info, errStat := os.Stat(filepath.Join(tree, "sub dir", "bag\n17"))
		if err := errors.Join(err, errStat); err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(tree, "COMPLETE")); err == nil {
			return errors.New("the mark came along")
		}
		if string(text) != "2026-11-28T020000Z" || info.Mode().Perm() != 0o640 {
			return fmt.Errorf("restored %q, mode %s", text, info.Mode())
		}
		return nil
	})
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
		t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
	}
}

// What a command has fetched may give rights to whoever reaches it once it is live: that is told.
func TestRestore_grants(t *testing.T) {
	for mode, exceptions := range map[string]int{"4755": 1, "755": 0} {
		program := script(t, `
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch)
	mkdir "$COMEBACK_DIR/tree"
	echo '#!' >"$COMEBACK_DIR/tree/shell"
	chmod `+mode+` "$COMEBACK_DIR/tree/shell"
	echo '{"tree": "tree"}'
	;;
esac`)
		end := restored(t, component(recovery.Files, program, nil), t.TempDir(), nobody, nil)
		var says []string
		for _, s := range end.Steps {
			says = append(says, s.Outcome.Exceptions...)
		}
		if len(says) != exceptions || exceptions > 0 && (end.Result != recovery.ResultExceptions || !strings.Contains(says[0], fmt.Sprintf(`"shell" (mode 4755, user %d, `, os.Geteuid()))) {
			t.Errorf("of mode %s the run ended as %s: %q", mode, end.Result, says)
		}
	}
}

// A file that cannot be read ends the fetch of the shipped example: what would come back
// without it is not the tree.
func TestExample_datedTreesUnreadable(t *testing.T) {
	dir, err := os.MkdirTemp("", "cbc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	const night = "2026-11-28T020000Z"
	text, err := os.ReadFile(example(t, "dated-trees"))
	for _, made := range []func() error{
		func() error { return os.Chmod(dir, 0o755) },
		func() error { return os.WriteFile(filepath.Join(dir, "dated-trees"), text, 0o600) },
		func() error { return os.Chmod(filepath.Join(dir, "dated-trees"), 0o755) },
		func() error { return os.MkdirAll(filepath.Join(dir, night), 0o755) },
		func() error { return os.WriteFile(filepath.Join(dir, night, "COMPLETE"), nil, 0o644) },
		func() error { return os.WriteFile(filepath.Join(dir, night, "bag.jpg"), []byte("a bag"), 0o644) },
		func() error { return os.WriteFile(filepath.Join(dir, night, "closed.jpg"), []byte("closed"), 0) },
		func() error { return os.Mkdir(filepath.Join(dir, "to"), 0o700) },
	} {
		if err == nil {
			err = made()
		}
	}
	if err == nil && os.Geteuid() == 0 {
		err = os.Chown(filepath.Join(dir, "to"), 65534, 65534)
	}
	if err != nil {
		t.Fatal(err)
	}
	fetch := func() (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "dated-trees"), "fetch")
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "COMEBACK_COPY=nightly", "COMEBACK_COPY_URL=file://" + dir, "COMEBACK_BACKUP=" + night, "COMEBACK_DIR=" + filepath.Join(dir, "to")}
		if os.Geteuid() == 0 { // who may read everything is no test
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := fetch(); err == nil || strings.Contains(out, `{"tree"`) || !strings.Contains(out, "closed.jpg") {
		t.Errorf("with a file that cannot be read: %v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Join(dir, night, "closed.jpg"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := fetch(); err != nil || !strings.Contains(out, `{"done": "2", "total": "2"`) || !strings.HasSuffix(out, `{"tree": "tree"}`+"\n") {
		t.Errorf("with all files: %v\n%s", err, out)
	}
}

// backedUp is a directory with one base backup of a cluster with a database shop, and
// who serves it.
func backedUp(t *testing.T) (dir string, owner recovery.User, tools postgres.Tools) {
	t.Helper()
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	tools, err = postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.MkdirTemp("", "cbc-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if owner.UID >= 0 {
		err = os.Chown(dir, owner.UID, owner.GID)
	}
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "source")
	enginetest.RunAs(t, owner, "", tools.Program("initdb"), "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync")
	enginetest.RunAs(t, owner, "create database shop;\n", tools.Program("postgres"), "--single", "-F", "-D", data, "postgres")
	enginetest.RunAs(t, owner, "create table orders (n int);\n\ninsert into orders select generate_series(1, 4711);\n", tools.Program("postgres"), "--single", "-F", "-D", data, "shop")
	enginetest.RunAs(t, owner, "", tools.Program("pg_ctl"), "-D", data, "-l", filepath.Join(dir, "log"), "-w", "-o", "-k "+dir+" -h '' -c fsync=off", "start")
	enginetest.RunAs(t, owner, "", tools.Program("pg_basebackup"), "-h", dir, "-U", "postgres", "-D", filepath.Join(dir, "sunday"), "-c", "fast", "--no-sync")
	enginetest.RunAs(t, owner, "", tools.Program("pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	return dir, owner, tools
}

func counted(ctx context.Context, b recovery.Binding) error {
	url, err := expand(b.URL)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var n int
	if err := conn.QueryRow(ctx, "select count(*) from orders").Scan(&n); err != nil {
		return err
	}
	if n != 4711 {
		return fmt.Errorf("%d orders came back", n)
	}
	return nil
}

// The shipped example for base backups brings a server back in scratch; what a command
// has made elsewhere is used by its address and removed by the runbook's command.
func TestRestore_postgres(t *testing.T) {
	dir, owner, tools := backedUp(t)
	t.Run("base backups", func(t *testing.T) {
		end := restored(t, component(recovery.Postgres, example(t, "base-backups"), nil), dir, owner, counted)
		if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
	})
	t.Run("with replication slots", func(t *testing.T) {
		program := script(t, `
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch)
	cp -a "`+dir+`/sunday" "$COMEBACK_DIR/data"
	mkdir "$COMEBACK_DIR/data/pg_replslot/debezium"
	echo 'what no server can read' >"$COMEBACK_DIR/data/pg_replslot/debezium/state"
	echo '{"cluster": "data"}'
	;;
esac`)
		end := restored(t, component(recovery.Postgres, program, nil), dir, owner, counted)
		if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
		if st := end.Step("serve"); st == nil || !strings.Contains(strings.Join(st.Outcome.Remarks, "\n"), "replication slots were left out") || !strings.Contains(st.Outcome.Remarks[0], "debezium") {
			t.Errorf("it is not told: %+v", st)
		} else if st.Outcome.Facts[recovery.FactIsolation] == "" || st.Outcome.Facts[recovery.FactNetwork] == "" {
			t.Errorf("how its server is shut off is not told: %q", st.Outcome.Facts)
		}
		if fetch := end.Step("fetch"); fetch.Network == "" || fetch.Outcome.Facts[recovery.FactNetwork] != fetch.Network || !strings.HasPrefix(fetch.Outcome.Facts[recovery.FactIsolation], "NOT shut into a box") {
			t.Errorf("the command's network is not told: %q, %q", fetch.Network, fetch.Outcome.Facts)
		}
	})
	made := filepath.Join(dir, "made")
	run := ""
	if owner.UID >= 0 {
		run = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", owner.UID, owner.GID)
	}
	provider := script(t, `
pg_ctl=`+tools.Program("pg_ctl")+` data="`+made+`/${COMEBACK_NAME-}"
cd /
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch)
	[ "$TOKEN" = "`+secret+`" ] || exit 3
	`+run+`mkdir -p "$data"
	`+run+`cp -a "`+dir+`/sunday/." "$data"
	`+run+`chmod 700 "$data"
	`+run+`$pg_ctl -D "$data" -l "$data/log" -w -o "-k $data -h '' -c fsync=off" start >&2
	echo "{\"address\": \"postgres://postgres${PASSWORD-}@/shop?host=$data\", \"reached\": \"2026-11-22T01:00:00Z\"}"
	;;
remove)
	[ ! -d "$data" ] || `+run+`$pg_ctl -D "$data" -m immediate -w stop >&2 || true
	rm -rf "$data"
	;;
esac`)
	more := map[string][]string{"remove": {provider, "remove"}, "environment": {"TOKEN=${TOKEN}", "PASSWORD=:${TOKEN}"}}
	t.Run("a secret in an address", func(t *testing.T) {
		end := restored(t, component(recovery.Postgres, provider, more), dir, owner, nil)
		if says, hint := enginetest.Failure(end); !strings.Contains(says, "holds a password, which would be recorded") || hint == "" || strings.Contains(says, secret) {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
	})
	more["environment"] = more["environment"][:1]
	t.Run("elsewhere", func(t *testing.T) {
		end := restored(t, component(recovery.Postgres, provider, more), dir, owner, counted)
		if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
		if left, err := os.ReadDir(made); err != nil || len(left) > 0 {
			t.Errorf("what the command has made stays: %v, %v", left, err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		for name, c := range map[string]recovery.Component{"base backups": component(recovery.Postgres, example(t, "base-backups"), nil), "elsewhere": component(recovery.Postgres, provider, more)} {
			crash := enginetest.Crash{Options: newest(t, c, dir, owner), Copies: map[string]string{"nightly": dir}, Digest: func(ctx context.Context, env recovery.Env) (string, error) {
				b, _ := env.Binding("part")
				return "all orders", counted(ctx, b)
			}}
			var finished []uint64
			whole := crash
			whole.Event = func(e recovery.Event) {
				if p, _ := e.Payload(); len(finished) < 2 {
					if _, ok := p.(recovery.StepFinished); ok {
						finished = append(finished, e.Seq)
					}
				}
			}
			want := whole.Run(t).Restored
			cuts := map[string]enginetest.Cut{"before fetch ends": {Before: finished[0]}, "after all": {After: finished[1]}}
			if enginetest.Soak() {
				for n := uint64(1); n < finished[1]; n++ {
					cuts[fmt.Sprintf("event %d", n)] = enginetest.Cut{After: n}
				}
			}
			for when, cut := range cuts {
				t.Run(name+" "+when, func(t *testing.T) {
					crash.Cuts = []enginetest.Cut{cut}
					crash.Whole(t, want)
				})
			}
		}
		if left, err := os.ReadDir(made); err != nil || len(left) > 0 {
			t.Errorf("what the command has made stays: %v, %v", left, err)
		}
	})
	t.Run("the live server", func(t *testing.T) {
		live := script(t, `
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch) echo '{"address": "postgres://postgres@/shop?host=`+filepath.Join(made, "live")+`"}' ;;
esac`)
		asProvider := func(what string) {
			cmd := exec.CommandContext(t.Context(), provider, what)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "COMEBACK_NAME=live", "TOKEN=" + secret}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", what, err, out)
			}
		}
		asProvider("fetch")
		defer asProvider("remove")
		// By another way to it: its directory through a link, as a role in another zone.
		conn, err := pgx.Connect(t.Context(), "postgres://postgres@/shop?host="+filepath.Join(made, "live"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = conn.Exec(t.Context(), "create role abroad superuser login; alter role abroad set timezone = 'Asia/Tokyo'")
		if err = errors.Join(err, conn.Close(context.WithoutCancel(t.Context()))); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "link")
		if err := os.Symlink(filepath.Join(made, "live"), link); err != nil {
			t.Fatal(err)
		}
		c := component(recovery.Postgres, live, map[string][]string{"remove": {"/bin/true"}, "url": {"postgres://abroad@/shop?host=" + link}})
		end := restored(t, c, dir, owner, nil)
		if says, hint := enginetest.Failure(end); !strings.Contains(says, "the address of the live server") || hint == "" {
			t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
		}
	})
	// Whatever of a data directory lies elsewhere, a server on it would write there.
	for _, name := range []string{"pg_tblspc/1", "pg_wal", "base/1/16384", "pg_xact", "postgresql.auto.conf"} {
		t.Run("outside "+name, func(t *testing.T) {
			program := script(t, `
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch)
	cp -a "`+dir+`/sunday" "$COMEBACK_DIR/data"
	rm -rf "$COMEBACK_DIR/data/`+name+`"
	ln -s "`+dir+`" "$COMEBACK_DIR/data/`+name+`"
	echo '{"cluster": "data"}'
	;;
esac`)
			end := restored(t, component(recovery.Postgres, program, nil), dir, owner, nil)
			if says, hint := enginetest.Failure(end); !strings.Contains(says, "lies outside of scratch: "+name+" leads to "+dir) || hint == "" {
				t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
			}
		})
	}
}

// A moment in a window is fetched by its window and its second, in UTC, and the run has
// reached it; what fetch says of its progress is seen.
func TestFetch_window(t *testing.T) {
	program := script(t, `
case $1 in
list) echo '{"window": "automated", "from": "2026-11-21T00:00:00Z", "to": "2026-11-28T10:15:00Z"}' ;;
fetch)
	echo '{"done": "3", "total": "12", "unit": "bytes", "says": "copying"}'
	mkdir "$COMEBACK_DIR/tree"
	printf '%s' "$COMEBACK_BACKUP|$COMEBACK_TO" >"$COMEBACK_DIR/tree/asked"
	echo '{"tree": "tree"}'
	;;
esac`)
	c := component(recovery.Files, program, nil)
	s, err := surveyed(t, c, "/srv")
	if err != nil {
		t.Fatal(err)
	}
	w, err := recovery.ParseWant("2026-11-26T02:41:07.5+01:00", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := commands.New(c.Kind, commands.Options{Expand: expand})
	p, err := e.Resolve(t.Context(), s, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	end := enginetest.Restore(t, enginetest.Options{Engine: e, Component: c, Point: p, Owner: nobody, Probe: func(_ context.Context, env recovery.Env) error {
		b, _ := env.Binding("part")
		asked, err := os.ReadFile(filepath.Join(strings.TrimPrefix(b.URL, "file://"), "asked"))
		if err == nil && string(asked) != "automated|2026-11-26T01:41:07Z" {
			err = fmt.Errorf("fetch was asked for %q", asked)
		}
		return err
	}})
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultPassed {
		t.Errorf("the restore ended %s: %s (%s)", end.Result, says, hint)
	}
	for _, st := range end.Steps {
		if r := st.Outcome.Reached; r != nil && !r.Time.Equal(p.Time) {
			t.Errorf("it has reached %s, want %s", r.Time, p.Time)
		}
	}
}

// What fetch says is held to what it may say.
func TestFetch_refusals(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		kind recovery.ComponentKind
		body string
		more map[string][]string
		says string
	}{
		"it fails":                        {recovery.Files, `echo "no such snapshot" >&2; exit 1`, nil, "no such snapshot"},
		"it says nothing":                 {recovery.Files, "true", nil, "must do so once, and did 0 times"},
		"it says it twice":                {recovery.Files, `mkdir "$COMEBACK_DIR/x"; echo '{"tree": "x"}'; echo '{"tree": "x"}'`, nil, "did 2 times"},
		"a tree that is not there":        {recovery.Files, `echo '{"tree": "x"}'`, nil, "which is not there"},
		"a tree elsewhere":                {recovery.Files, `echo '{"tree": "../../../etc"}'`, nil, "not inside of the directory"},
		"a tree through a link":           {recovery.Files, `ln -s /etc "$COMEBACK_DIR/x"; echo '{"tree": "x"}'`, nil, "lies elsewhere: /etc"},
		"a file for a tree":               {recovery.Files, `: >"$COMEBACK_DIR/x"; echo '{"tree": "x"}'`, nil, "is no directory"},
		"a cluster for files":             {recovery.Files, `mkdir "$COMEBACK_DIR/x"; echo '{"cluster": "x"}'`, nil, "something else than a tree"},
		"a tree for postgres":             {recovery.Postgres, `mkdir "$COMEBACK_DIR/x"; echo '{"tree": "x"}'`, nil, "something else than one cluster or one server"},
		"no data directory":               {recovery.Postgres, `mkdir "$COMEBACK_DIR/x"; echo '{"cluster": "x"}'`, nil, "what was fetched is no data directory"},
		"an address and no way to remove": {recovery.Postgres, `echo '{"address": "postgres://h/d"}'`, nil, "nothing in the runbook says how that is removed"},
		"no address":                      {recovery.Postgres, `echo '{"address": "http://h/d"}'`, map[string][]string{"remove": {"/bin/true"}}, "does not answer with the address of a server"},
	} {
		t.Run(name, func(t *testing.T) {
			program := script(t, `
case $1 in
list) echo '{"id": "sunday", "taken": "2026-11-22T01:00:00Z"}' ;;
fetch) [ "$COMEBACK_BACKUP|$COMEBACK_TO" = "sunday|" ]; `+test.body+` ;;
esac`)
			end := restored(t, component(test.kind, program, test.more), dir, nobody, nil)
			if says, hint := enginetest.Failure(end); end.Result == recovery.ResultPassed || !strings.Contains(says, test.says) || hint == "" {
				t.Errorf("the restore ended %s: %s (%s), want %q", end.Result, says, hint, test.says)
			}
		})
	}
}

// What a remove says to a shell of its own is no reference of the runbook.
func TestReleaser_Expands(t *testing.T) {
	got := commands.Releaser{}.Expands(recovery.Resource{Kind: commands.Instance, ID: "shop-7c31", Details: map[string]string{
		"remove": `{"argv":["/bin/sh","-c","drop ${COMEBACK_NAME}"],"environment":["TOKEN=${TOKEN}"]}`}})
	if len(got) != 1 || got[0] != "TOKEN=${TOKEN}" {
		t.Errorf("it resolves %q", got)
	}
}
