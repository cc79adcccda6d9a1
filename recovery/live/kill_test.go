package live_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery/live"
)

// killEnv holds what a process is to do until it kills itself.
const killEnv = "COMEBACK_LIVE_KILL"

// doomed is what a process does that dies, as if by kill -9, before its At-th
// change of live.
type doomed struct {
	Do       string
	At       int
	Database live.Database
	Source   live.Source
	Cluster  switching
}

// dieWhereTold is the process that dies. Where it comes to its end it says so.
func dieWhereTold() {
	if os.Getenv(killEnv) == "" {
		return
	}
	var d doomed
	if err := json.Unmarshal([]byte(os.Getenv(killEnv)), &d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	n := 0
	d.Database.Before = func(_ context.Context, what string) error {
		if n++; n == d.At {
			fmt.Println("dies before: " + what)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	if err := doomedDo(d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// killed runs it until it dies; it tells where, or "" where it came to its end.
func killed(t *testing.T, d doomed) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), os.Args[0])
	cmd.Env = append(os.Environ(), killEnv+"="+string(b))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
		return strings.TrimPrefix(strings.TrimSpace(string(out)), "dies before: ")
	}
	t.Fatalf("%s, before change %d: %v: %s", d.Do, d.At, err, stderr.String())
	return ""
}

func doomedDo(d doomed) (err error) {
	ctx := context.Background()
	switch d.Do {
	case "load":
		_, err = d.Database.Load(ctx, &env{}, d.Source)
	case "fence":
		_, err = d.Database.Fence(ctx)
	case "swap":
		_, err = d.Database.Swap(ctx)
	case "swap back":
		_, err = d.Database.SwapBack(ctx)
	case "undo":
		err = d.Database.Undo(ctx)
	case "unfence":
		err = d.Database.Unfence(ctx)
	case "cluster":
		e := &dyingEnv{env: &env{}, at: d.At}
		err = d.Cluster.do(ctx, e, func(_ context.Context, what string) error { e.act(what); return nil })
	default:
		err = fmt.Errorf("%s: do what?", d.Do)
	}
	return err
}

// Whoever is killed between any two statements leaves the old database or the new
// one live, whole, never neither; and the same call ends what it has begun, or Undo
// takes it back.
func TestDatabase_killed(t *testing.T) {
	ctx := within(t)
	p := openPlace(t)
	root := connect(t, p.Layout.URL("postgres", "postgres"))
	run(t, root, "create role app login", "alter database shop set work_mem = '8MB'", "comment on database shop is 'the shop'", "grant temp on database shop to app")
	run(t, connect(t, p.scratch.URL("shop")), "create role gone", "alter table carts owner to gone")
	old := p.digest(t, "shop")
	d := p.database(t)

	// either wants the database of the live name to be one of the two, whole.
	either := func(t *testing.T) live.Side {
		t.Helper()
		var oid uint32
		var open bool
		if err := root.QueryRow(ctx, "select oid, datallowconn from pg_database where datname = 'shop'").Scan(&oid, &open); err != nil {
			t.Fatalf("neither is live: %v", err)
		}
		side, rows := live.Before, old
		if oid == d.New {
			side, rows = live.After, p.restored
		} else if oid != d.Was {
			t.Fatalf("database %d is live, and it was %d or %d", oid, d.Was, d.New)
		}
		if open && !maps.Equal(p.digest(t, "shop"), rows) {
			t.Errorf("%s: live is not whole", side)
		}
		return side
	}
	// each does something, killed at every change, and says what must hold.
	each := func(t *testing.T, do string, reset, finish func(t *testing.T)) (places []string) {
		t.Helper()
		for at := 1; ; at++ {
			reset(t)
			where := killed(t, doomed{Do: do, At: at, Database: d, Source: p.source()})
			if where == "" {
				break
			}
			places = append(places, where)
			t.Run(strconv.Itoa(at)+" "+do+" before "+where, finish)
		}
		return places
	}
	anew := func(t *testing.T) {
		t.Helper()
		if err := d.Drop(ctx); err != nil {
			t.Fatal(err)
		}
		run(t, root, "drop role if exists gone")
	}
	var loaded live.Loaded
	loads := each(t, "load", anew, func(t *testing.T) {
		p.intact(t, d, old)
		var err error
		if loaded, err = d.Load(ctx, &env{}, p.source()); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(p.digest(t, "shop_cb_7c31"), p.restored) || len(loaded.Roles) != 1 {
			t.Errorf("loaded %+v", loaded)
		}
	})
	if len(loads) != 6 {
		t.Errorf("killed at %q only", loads)
	}
	loaded, err := d.Load(ctx, &env{}, p.source())
	if err != nil {
		t.Fatal(err)
	}
	d.New = loaded.Database.OID

	back := func(t *testing.T) {
		t.Helper()
		if err := d.Undo(ctx); err != nil {
			t.Fatal(err)
		}
	}
	fence := func(t *testing.T) {
		t.Helper()
		if _, err := d.Fence(ctx); err != nil {
			t.Fatal(err)
		}
	}
	forth := func(t *testing.T) {
		t.Helper()
		fence(t)
		if _, err := d.Swap(ctx); err != nil {
			t.Fatal(err)
		}
	}
	each(t, "fence", func(t *testing.T) {
		back(t)
		connect(t, p.Layout.URL("shop", "shop")) // one to end
	}, func(t *testing.T) {
		if either(t) != live.Before {
			t.Error("the new one is live")
		}
		fence(t)
		back(t)
		p.intact(t, d, old)
	})
	swaps := each(t, "swap", func(t *testing.T) {
		back(t)
		fence(t)
		// As Load leaves it.
		run(t, root, "alter database shop_cb_7c31 allow_connections true", "alter database shop_cb_7c31 reset all", "revoke all on database shop_cb_7c31 from public, app",
			"alter database shop_cb_7c31 owner to postgres")
	}, func(t *testing.T) {
		either(t)
		if strings.Contains(t.Name(), "commit") { // the transaction is not seen by anybody
			back(t)
			p.intact(t, d, old)
			fence(t)
		}
		if _, err := d.Swap(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.Unfence(ctx); err != nil {
			t.Fatal(err)
		}
		if either(t) != live.After {
			t.Error("the old one is live")
		}
		back(t)
		p.intact(t, d, old)
	})
	if len(swaps) != 9 {
		t.Errorf("killed at %q only", swaps)
	}
	for _, do := range []string{"swap back", "undo", "unfence"} {
		each(t, do, func(t *testing.T) { back(t); forth(t) }, func(t *testing.T) {
			either(t)
			back(t)
			p.intact(t, d, old)
		})
	}
}
