package postgres_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// system is the identifier of a cluster.
func system(t *testing.T, c postgres.Cluster) string {
	t.Helper()
	control, err := postgres.ReadControl(within(t), c.Tools, c.Data)
	if err != nil {
		t.Fatal(err)
	}
	return control.SystemIdentifier
}

// A server that has ended, however it did, is brought back; one that runs is
// left alone.
func TestRevive(t *testing.T) {
	ctx := within(t)
	e, s := running(t, nil)
	c, id := s.Cluster(), system(t, s.Cluster())
	revive := func(t *testing.T) *postgres.Server {
		t.Helper()
		again, err := postgres.Revive(ctx, e, c, postgres.StartOptions{}, id, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	if again := revive(t); again != s {
		t.Errorf("a running server was replaced: %d by %d", s.PID(), again.PID())
	}
	t.Run("killed", func(t *testing.T) {
		before := revive(t)
		if err := syscall.Kill(before.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-before.Exited()
		crashed := 0
		again, err := postgres.Revive(ctx, e, c, postgres.StartOptions{Crashed: func() error { crashed++; return nil }}, id, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		if again == before || again.PID() == before.PID() || crashed != 1 {
			t.Errorf("a server that was killed counts as running, or as shut down (%d)", crashed)
		}
	})
	t.Run("shut down", func(t *testing.T) {
		before := revive(t)
		if err := syscall.Kill(before.PID(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-before.Exited()
		_, err := postgres.Revive(ctx, e, c, postgres.StartOptions{Crashed: func() error { return errors.New("crashed") }}, id, "postgres")
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("its number is another program's now", func(t *testing.T) {
		before := revive(t)
		if err := before.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		// As after a reboot: the number in postmaster.pid is taken, by a
		// program of the server's own user.
		other := exec.CommandContext(ctx, "/bin/sleep", "1000")
		if c.Owner.UID >= 0 {
			other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.Owner.UID), Gid: uint32(c.Owner.GID)}}
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			other.Process.Kill()
			other.Wait()
		}()
		pid := filepath.Join(c.Data, "postmaster.pid")
		if err := os.WriteFile(pid, []byte(strconv.Itoa(other.Process.Pid)+"\n"+c.Data+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		revive(t)
		if err := other.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the other program was hurt: %v", err)
		}
	})
	t.Run("another cluster", func(t *testing.T) {
		if _, err := postgres.Revive(ctx, e, c, postgres.StartOptions{}, "1", "postgres"); !errors.Is(err, recovery.ErrGone) {
			t.Errorf("%v, want one that wraps ErrGone", err)
		}
	})
	t.Run("a damaged file", func(t *testing.T) {
		if err := revive(t).Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(c.Data, "pg_xact", "0000")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(c.Data, "global", "pg_filenode.map")); err != nil {
			t.Fatal(err)
		}
		if _, err := postgres.Revive(ctx, e, c, postgres.StartOptions{}, id, "postgres"); !errors.Is(err, recovery.ErrGone) {
			t.Errorf("%v, want one that wraps ErrGone", err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		if err := os.RemoveAll(c.Data); err != nil {
			t.Fatal(err)
		}
		_, err := postgres.Revive(ctx, e, c, postgres.StartOptions{}, id, "postgres")
		if !errors.Is(err, recovery.ErrGone) || bytes.Contains([]byte(err.Error()), []byte("exit status")) {
			t.Errorf("%v, want one that wraps ErrGone", err)
		}
	})
}

// A server that another process has left is ended first: it would not die with
// this one, and nobody reads its log.
func TestEnsure_LeftByAnotherProcess(t *testing.T) {
	ctx := within(t)
	e, c := cluster(t)
	if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(nil); err != nil {
		t.Fatal(err)
	}
	id := system(t, c)
	cmd := serveElsewhere(t, ctx, c.Data)
	left, err := postgres.Attach(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	s, err := postgres.Revive(ctx, e, c, postgres.StartOptions{}, id, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	if s.PID() == left.PID() || s.Exited() == nil {
		t.Error("the other process's server counts as this one's")
	}
}
