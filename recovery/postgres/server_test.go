package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

func TestServer(t *testing.T) {
	ctx := within(t)
	settings := postgres.TuneSettings(2, 0)
	e, s := running(t, settings)
	c := s.Cluster()

	t.Run("claims before it creates", func(t *testing.T) {
		kinds := map[recovery.ResourceKind]string{}
		for _, r := range e.claims {
			kinds[r.Kind] = r.ID
		}
		if kinds[recovery.Cluster] != c.Data || kinds[recovery.Directory] != c.Socket {
			t.Errorf("claims: %v", e.claims)
		}
	})
	t.Run("is isolated", func(t *testing.T) {
		conn, err := s.Connect(ctx, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		for name, want := range postgres.ScratchSettings() {
			if _, tuned := settings[name]; tuned {
				continue
			}
			var got string
			if err := conn.QueryRow(ctx, "select current_setting($1)", name).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if name == "timezone" || name == "port" { // the same by other means
				continue
			}
			if got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		ours, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", s.PID()))
		if err != nil {
			t.Fatal(err)
		}
		if s.Isolated() != (ours != theirs) {
			t.Errorf("isolated: %v, but its network is %s and ours %s", s.Isolated(), theirs, ours)
		}
		var o recovery.Outcome
		s.TellIsolation(&o)
		boxed := s.Isolated()
		if got := o.Facts[recovery.FactNetwork]; (got == recovery.NoNetwork) != boxed || got == "" {
			t.Errorf("isolated: %v, and its network is told as %q", boxed, got)
		}
		if got := o.Facts[recovery.FactIsolation]; strings.HasPrefix(got, "no network but loopback, ") != boxed || (len(o.Remarks) == 0) != boxed {
			t.Errorf("isolated: %v, and told are %q, %q", boxed, got, o.Remarks)
		}
		info, err := os.Stat(c.Socket)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("the socket directory is %v", info.Mode())
		}
	})
	t.Run("says who it is", func(t *testing.T) {
		conn, err := s.Connect(ctx, "postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		id, err := postgres.ReadIdentity(ctx, conn)
		if err != nil {
			t.Fatal(err)
		}
		control, err := postgres.ReadControl(ctx, c.Tools, c.Data)
		if err != nil {
			t.Fatal(err)
		}
		if id.SystemIdentifier != control.SystemIdentifier || id.Timeline != control.Timeline || id.DataDirectory != c.Data ||
			id.Database != "postgres" || id.Major != c.Tools.Major || id.InRecovery || id.Address != "" {
			t.Errorf("identity %+v, control data %+v", id, control)
		}
		if control.State != "in production" || control.MaxConnections != 40 || control.MaxLocksPerXact != 256 || control.WALLevel != "minimal" ||
			control.WALSegmentSize != 16<<20 || control.RedoLSN == 0 || control.NextXID < 3 || control.DataChecksums {
			t.Errorf("control data %+v", control)
		}
	})
	t.Run("is attached to", func(t *testing.T) {
		other, err := postgres.Attach(c)
		if err != nil {
			t.Fatal(err)
		}
		if other != s {
			t.Errorf("attached to %v, want the server that was started", other)
		}
	})
	t.Run("reloads", func(t *testing.T) {
		safe := maps.Clone(settings)
		maps.Copy(safe, postgres.SafeSettings())
		if err := c.Configure(safe); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		for fsync := ""; fsync != "on"; { // the signal takes a moment
			conn, err := s.Connect(ctx, "postgres")
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.QueryRow(ctx, "show fsync").Scan(&fsync); err != nil {
				t.Fatal(err)
			}
			conn.Close(ctx)
		}
	})
	t.Run("stops", func(t *testing.T) {
		if err := s.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		<-s.Exited()
		if err := s.Err(); err != nil {
			t.Errorf("after a clean shutdown: %v", err)
		}
		if _, err := postgres.Attach(c); err == nil {
			t.Error("it can still be attached to")
		}
		if control, err := postgres.ReadControl(ctx, c.Tools, c.Data); err != nil || control.State != "shut down" {
			t.Errorf("state %q, %v", control.State, err)
		}
	})
}

func TestStart_FailsInPostgresWords(t *testing.T) {
	ctx := within(t)
	for name, test := range map[string]struct {
		settings map[string]string
		spoil    func(c postgres.Cluster) error
		want     string
	}{
		"leftover setting": {settings: map[string]string{"recovery_target_time": "not a time"}, want: "recovery_target_time"},
		"another major": {spoil: func(c postgres.Cluster) error {
			return os.WriteFile(filepath.Join(c.Data, "PG_VERSION"), []byte("9.1\n"), 0o600)
		}, want: "incompatible with server"},
		"no control file": {spoil: func(c postgres.Cluster) error { return os.Remove(filepath.Join(c.Data, "global/pg_control")) }, want: "pg_control"},
	} {
		t.Run(name, func(t *testing.T) {
			e, c := cluster(t)
			if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := c.Configure(test.settings); err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				if err := test.spoil(c); err != nil {
					t.Fatal(err)
				}
			}
			_, err := postgres.Start(ctx, e, c, postgres.StartOptions{WaitReady: true})
			if err == nil || !strings.Contains(err.Error(), test.want) || recovery.HintOf(err) == "" {
				t.Errorf("error %v, hint %q; want it to say %q", err, recovery.HintOf(err), test.want)
			}
		})
	}
}

// A server must not outlive the process that started it, even by kill -9.
func TestServer_DiesWithItsProcess(t *testing.T) {
	if data := os.Getenv("COMEBACK_TEST_SERVE"); data != "" {
		serveAndHang(t, data)
	}
	ctx := within(t)
	e, c := cluster(t)
	if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(nil); err != nil {
		t.Fatal(err)
	}
	cmd := serveElsewhere(t, ctx, c.Data)
	if _, err := postgres.Attach(c); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for {
		if _, err := postgres.Attach(c); err != nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the server lives on")
		}
	}
	for { // the fast shutdown writes a checkpoint
		control, err := postgres.ReadControl(ctx, c.Tools, c.Data)
		if err != nil {
			t.Fatal(err)
		}
		if control.State == "shut down" {
			break
		}
	}
}

// serveElsewhere starts a server on a cluster in another process, and returns
// when it is ready.
func serveElsewhere(t *testing.T, ctx context.Context, data string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServer_DiesWithItsProcess$")
	cmd.Env = append(os.Environ(), "COMEBACK_TEST_SERVE="+data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("ready"))
	if _, err := out.Read(ready); err != nil || string(ready) != "ready" {
		t.Fatalf("the other process says %q, %v", ready, err)
	}
	return cmd
}

func serveAndHang(t *testing.T, data string) {
	ctx := context.Background()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, claims: []recovery.Resource{{ID: data}}}
	if _, err := postgres.Start(ctx, e, postgres.Cluster{Data: data, Owner: owner, Tools: tools}, postgres.StartOptions{WaitReady: true}); err != nil {
		t.Fatal(err)
	}
	fmt.Print("ready")
	select {}
}
