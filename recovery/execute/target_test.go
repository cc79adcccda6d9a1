package execute_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// servers is a user whom servers could run as.
var servers = recovery.User{Name: "nobody", UID: 65534, GID: 65534}

// A scratch target is the run's own. The user that servers run as goes through it to what is
// his, and puts nothing in the place of what lies in it: what root opens there by its name is
// root's. A target that an earlier version has given to that user is taken back.
func TestTarget_ours(t *testing.T) {
	root := os.Geteuid() == 0
	place, err := os.MkdirTemp("", "execute-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	if err := os.Chmod(place, 0o711); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(place, "comeback-7c31")
	target := filepath.Join(run, "db")
	mode := os.FileMode(0o700)
	if root {
		mode = 0o710
	}
	look := func(when string) {
		info, err := os.Lstat(target)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() || info.Mode().Perm() != mode {
			t.Errorf("%s the target is of user %d, %v", when, st.Uid, info.Mode())
		}
	}
	do := func(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
		if _, err := e.Target(ctx, "scratch/db"); err != nil {
			return recovery.Outcome{}, err
		}
		look("made anew")
		for _, name := range []string{"wal", "data"} {
			if err := os.Mkdir(filepath.Join(target, name), 0o700); err != nil {
				return recovery.Outcome{}, err
			}
		}
		if !root {
			return recovery.Outcome{}, nil
		}
		if err := os.Chown(filepath.Join(target, "data"), servers.UID, servers.GID); err != nil {
			return recovery.Outcome{}, err
		}
		for command, works := range map[string]bool{"touch data/file": true, "mv wal w2": false, "mkdir load": false, "mv data d2": false} {
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "cd "+target+" && "+command)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(servers.UID), Gid: uint32(servers.GID)}}
			if out, err := cmd.CombinedOutput(); (err == nil) != works {
				t.Errorf("%s as the user of servers: %v: %s", command, err, out)
			}
		}
		if err := os.Chown(target, servers.UID, servers.GID); err != nil {
			return recovery.Outcome{}, err
		}
		if _, err := e.Target(ctx, "scratch/db"); err != nil {
			return recovery.Outcome{}, err
		}
		look("taken back")
		// A step may close it to everybody else, and it stays closed.
		if err := os.Chmod(target, 0o700); err != nil {
			return recovery.Outcome{}, err
		}
		mode = 0o700
		_, err := e.Target(ctx, "scratch/db")
		look("closed")
		return recovery.Outcome{}, err
	}
	s := step("1", "restore")
	s.Writes = []recovery.TargetID{"scratch/db"}
	end := newRig(t, []recovery.Kind{kind{"restore", do}}, func(p *recovery.Plan, o *execute.Options) {
		o.Unattended = true
		p.Targets[0].Place = target
		if root {
			o.Owner = servers
		}
	}, s).run(t)
	if end.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", end.Result, end.Says)
	}
}
