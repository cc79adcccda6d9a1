package switchover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/pitr"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// after is the Env of a step that comes after others.
type after struct {
	recovery.Env
	before []recovery.StepState
}

func (a after) Before() []recovery.StepState { return a.before }

// What is lost is final only where the end of the log is known to be in the copy.
func TestCount_final(t *testing.T) {
	ended := func(kind string, state recovery.Progress, facts map[string]string) recovery.StepState {
		return recovery.StepState{Step: recovery.Step{Kind: kind, Component: "database"}, State: state, Outcome: recovery.Outcome{Facts: facts}}
	}
	stop := ended(stopName, recovery.Done, nil)
	for name, c := range map[string]struct {
		tail   string
		before []recovery.StepState
		want   bool
	}{
		"proven":                       {tailName, []recovery.StepState{stop, ended(tailName, recovery.Done, map[string]string{"last segment": "1"})}, true},
		"pushed":                       {pushName, []recovery.StepState{ended(pushName, recovery.Done, nil)}, true},
		"saved":                        {"pitr.tail", []recovery.StepState{ended("pitr.tail", recovery.Done, nil)}, true},
		"a person has passed over it":  {tailName, []recovery.StepState{stop, ended(tailName, recovery.Passed, nil)}, false},
		"the server had crashed":       {tailName, []recovery.StepState{stop, ended(tailName, recovery.Done, map[string]string{unproven: "in production"})}, false},
		"nothing saves it":             {"", []recovery.StepState{stop}, false},
		"it is of another component's": {tailName, []recovery.StepState{{Step: recovery.Step{Kind: tailName, Component: "other"}, State: recovery.Done}}, false},
		"a plan of an earlier version": {"", []recovery.StepState{ended(tailName, recovery.Done, nil)}, false},
	} {
		a := countArgs{args: args{Component: "database"}, Tail: c.tail}
		if got := a.ended(after{before: c.before}); got != c.want {
			t.Errorf("%s: final is %v, want %v", name, got, c.want)
		}
	}
}

// Of a server that has crashed before it was stopped nobody knows where its log ends.
func TestTail_crashed(t *testing.T) {
	tools, data, _ := serving(t)
	var err error
	for pids := []int{0}; len(pids) > 0; {
		if pids, err = postgres.Processes(data); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				t.Fatal(err)
			}
		}
	}
	a := clusterArgs{countArgs: countArgs{Point: recovery.Point{Copy: "nearby"}}, Data: data, Major: tools.Major}
	o, err := tailKind{}.Do(t.Context(), nil, recovery.NewStep("tail", tailName, "", a))
	if err != nil || o.Facts[unproven] != "in production" || !strings.Contains(o.Says, "may not be in nearby") {
		t.Errorf("%+v, %v", o, err)
	}
}

// tailing is the Env of a step that reads and writes a copy.
type tailing struct {
	recovery.Env
	store storage.Store
}

func (e tailing) Store(context.Context, string) (storage.Store, error) { return e.store, nil }
func (tailing) Meter() recovery.Meter                                  { return unheard{} }

type unheard struct{ recovery.Meter }

func (unheard) Phase(string, int64, recovery.Unit) {}
func (unheard) Set(int64)                          {}
func (unheard) Log(string)                         {}

// only is an engine that saves no log.
type only struct{ recovery.Engine }

// A server that does not archive leaves its last segment open when it is shut down: what was
// committed in it is saved, or the end is not proven.
func TestTail_notArchiving(t *testing.T) {
	tools, data, address := serving(t)
	dir := t.TempDir()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	base := recovery.Cmd{Path: tools.Program("pg_basebackup"), Args: []string{"-d", address, "-D", filepath.Join(dir, "base", "first"), "-Ft", "-c", "fast"}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}}
	if err := (releaseEnv{}).Command(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	var current string
	for _, sql := range []string{"create table kept (id int)", "select pg_switch_wal()", "insert into kept values (1)"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(t.Context(), "select pg_walfile_name(pg_current_wal_lsn())").Scan(&current); err != nil {
		t.Fatal(err)
	}
	// What a receiver has pushed: all finished segments.
	segments, err := filepath.Glob(filepath.Join(data, "pg_wal", "0*"))
	if err := errors.Join(err, os.Mkdir(filepath.Join(dir, "wal"), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, segment := range segments {
		if name := filepath.Base(segment); name < current {
			b, err := os.ReadFile(segment)
			if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "wal", name), b, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	conn.Close(t.Context())
	if _, err := (live.Service{Data: data, Tools: tools}).Stop(t.Context(), releaseEnv{}); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	engine := pitr.New(pitr.Options{Exe: "/proc/self/exe"})
	do := func(e recovery.Engine) recovery.Outcome {
		t.Helper()
		k := tailKind{Options{Engines: func() []recovery.Engine { return []recovery.Engine{e} }}}
		a := clusterArgs{countArgs: countArgs{Of: recovery.Component{Name: "database", Kind: recovery.Postgres}, Point: recovery.Point{Copy: "nearby", Engine: "pitr"}}, Data: data, Major: tools.Major}
		o, err := k.Do(t.Context(), tailing{store: store}, recovery.NewStep("tail", tailName, "", a))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := do(only{engine}); o.Facts[unproven] == "" || !strings.Contains(o.Says, "has not closed its last segment, "+current) {
		t.Errorf("an engine that saves nothing: %+v", o)
	}
	for _, saved := range []string{"1", "0"} {
		if o := do(engine); o.Facts["saved"] != saved || o.Facts[unproven] != "" {
			t.Errorf("%+v", o)
		}
	}
	if _, err := store.Stat(t.Context(), "wal/"+current+".partial"); err != nil {
		t.Errorf("the end of the log: %v", err)
	}
	first, err := os.ReadFile(filepath.Join(data, "pg_wal", current))
	if err != nil {
		t.Fatal(err)
	}
	// The switch is given up, and live goes on in the same segment until the next attempt.
	service := live.Service{Data: data, Tools: tools}
	if err := service.Start(t.Context(), releaseEnv{}, address); err != nil {
		t.Fatal(err)
	}
	if conn, err = pgx.Connect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var xid uint64
	if err := conn.QueryRow(t.Context(), "insert into kept values (2) returning pg_current_xact_id()::text::bigint").Scan(&xid); err != nil {
		t.Fatal(err)
	}
	conn.Close(t.Context())
	if _, err := service.Stop(t.Context(), releaseEnv{}); err != nil {
		t.Fatal(err)
	}
	for _, saved := range []string{"1", "0"} {
		if o := do(engine); o.Facts["saved"] != saved || !strings.Contains(o.Says, fmt.Sprintf("last commit xid %d", xid)) {
			t.Errorf("written since: %+v", o)
		}
	}
	ours, err := os.ReadFile(filepath.Join(data, "pg_wal", current))
	theirs, errCopy := os.ReadFile(filepath.Join(dir, "wal", current+".partial"))
	if err := errors.Join(err, errCopy); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("the copy does not hold what the server has written since: %v", err)
	}
	// What goes beyond the server's own log is left.
	if err := os.WriteFile(filepath.Join(data, "pg_wal", current), first, 0o600); err != nil {
		t.Fatal(err)
	}
	k := tailKind{Options{Engines: func() []recovery.Engine { return []recovery.Engine{engine} }}}
	a := clusterArgs{countArgs: countArgs{Of: recovery.Component{Name: "database", Kind: recovery.Postgres}, Point: recovery.Point{Copy: "nearby", Engine: "pitr"}}, Data: data, Major: tools.Major}
	if o, err := k.Do(t.Context(), tailing{store: store}, recovery.NewStep("tail", tailName, "", a)); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("other log: %+v, %v", o, err)
	}
}

// serving is a server of its own, which is halted at the end.
func serving(t *testing.T) (tools postgres.Tools, data, address string) {
	t.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "cbs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := (postgres.Cluster{Data: filepath.Join(dir, "data")}).Halt(context.WithoutCancel(t.Context()))
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	owner, err := postgres.ServerUser()
	if err == nil && owner.UID >= 0 {
		err = os.Chown(dir, owner.UID, owner.GID)
	}
	if err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(dir, "data")
	initdb := recovery.Cmd{Path: tools.Program("initdb"), Args: []string{"-D", data, "-U", "postgres", "-A", "trust", "--no-sync"}, Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}}
	if owner.UID >= 0 {
		initdb.User = &owner
	}
	if err := (releaseEnv{}).Command(t.Context(), initdb); err != nil {
		t.Fatal(err)
	}
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(conf, "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\n", dir)
	}
	if err == nil {
		err = conf.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	address = "postgres:///postgres?user=postgres&host=" + dir
	if err := (live.Service{Data: data, Tools: tools}).Start(t.Context(), releaseEnv{}, address); err != nil {
		t.Fatal(err)
	}
	return tools, data, address
}
