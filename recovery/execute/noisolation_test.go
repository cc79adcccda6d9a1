package execute_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/verify"
)

// noIsolationEnv marks a process of this test that may make no namespaces.
const noIsolationEnv = "EXECUTE_TEST_NO_ISOLATION"

// Where the host gives no namespaces, a rehearsal's blocks are not executed, the
// run goes on, and both blocks are listed.
func TestShell_noIsolation(t *testing.T) {
	if os.Getenv(noIsolationEnv) != "" {
		withoutIsolation(t)
		return
	}
	dir, err := os.MkdirTemp("", "execute-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "test")
	if err := os.WriteFile(self, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	hosts := map[string]string{"root of a container": `exec setpriv --bounding-set=-all --inh-caps=-all`}
	mapped := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	groups := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	if os.Geteuid() == 0 { // only root can have other users in its namespace
		hosts["an ordinary user"] = `echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --reuid 54321 --regid 54321 --clear-groups`
		mapped[0].Size, groups[0].Size = 65536, 65536
	}
	for name, become := range hosts {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "/bin/sh", "-euc", become+` "$0" -test.run='^TestShell_noIsolation$' -test.v`, self)
			cmd.Dir, cmd.Env = "/", append(os.Environ(), noIsolationEnv+"=1", "TMPDIR="+dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: mapped, GidMappings: groups,
				GidMappingsEnableSetgroups: os.Geteuid() == 0}
			if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestShell_noIsolation")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func withoutIsolation(t *testing.T) {
	if err := isolation.Available(); !errors.Is(err, recovery.ErrNoIsolation) {
		t.Fatalf("this host gives namespaces: %v", err)
	}
	started := newRig(t, []recovery.Kind{verify.HTTPCheck{}}, unattended, startStep(server, nil), askStep(), stopStep())
	s := started.run(t)
	started.none(t, s)
	for _, c := range s.Claims { // not only at its end: it is not kept, whatever is
		if c.Released.After(s.Cleaning) {
			t.Errorf("%s was given back with what was restored", c.ID)
		}
	}
	touched := filepath.Join(t.TempDir(), "touched")
	block, wait := shellStep("touch "+touched+"\n", nil), waitStep("touch "+touched+"\n", 0, 0)
	wait.ID = "w"
	s = newRig(t, nil, unattended, block, wait).run(t)
	if _, err := os.Lstat(touched); err == nil {
		t.Error("a block was executed")
	}
	if s.Result != recovery.ResultExceptions || s.Exit != recovery.WithExceptions {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	for _, id := range []string{"s", "w"} {
		st := s.Step(id)
		if st.State != recovery.Done || len(st.Outcome.Exceptions) != 1 || !strings.Contains(st.Outcome.Exceptions[0], "not executed: ") {
			t.Errorf("step %s: %s, %+v", id, st.State, st.Outcome)
		}
	}
	// An application is not started either, and what would ask it is not checked.
	s = newRig(t, []recovery.Kind{verify.HTTPCheck{}}, unattended, startStep("touch "+touched+"\n", nil), askStep(), stopStep()).run(t)
	if _, err := os.Lstat(touched); err == nil || s.Result != recovery.ResultExceptions || len(s.Held()) > 0 {
		t.Errorf("an application: %s: %s, held %v", s.Result, s.Says, s.Held())
	}
	if o := s.Step("ask").Outcome; o.Check != nil || len(o.Exceptions) != 1 || !strings.Contains(o.Exceptions[0], "not checked: it answers") {
		t.Errorf("the check: %+v", o)
	}
	// In a recovery it runs: there it is meant to reach production.
	if s := newRig(t, nil, recovering, block).run(t); s.Result != recovery.ResultPassed {
		t.Errorf("in a recovery: %s", s.Says)
	}
}
