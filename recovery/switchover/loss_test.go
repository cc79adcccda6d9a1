package switchover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
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
