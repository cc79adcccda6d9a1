package live_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery/live"
	"comeback/storage"
	"comeback/storagetest"
)

func TestProtected(t *testing.T) {
	ctx := within(t)
	s := openShop(t)
	root := connect(t, s.Layout.URL("postgres", "postgres"))
	nearby := archiveIn(t, "nearby", s.Copy(), "wal/")
	look := func(t *testing.T, within time.Duration, copies ...live.Archive) live.Protection {
		t.Helper()
		late, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		p, err := live.Protected(late, s.Layout.URL("postgres", "shop"), live.Archives{Copies: copies}, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Missing) > 0 && p.Next == "" {
			t.Errorf("nobody is told what to do: %+v", p)
		}
		return p
	}
	// until looks for longer and longer until the first copy has what it needs.
	until := func(t *testing.T, copies ...live.Archive) live.Protection {
		t.Helper()
		for within := 2 * time.Second; ; within *= 2 {
			late, cancel := context.WithTimeout(ctx, within)
			p, err := live.Protected(late, s.Layout.URL("postgres", "shop"), live.Archives{Copies: copies}, "")
			cancel()
			switch {
			case err == nil && len(p.Copies) > 0 && len(p.Copies[0].Lacks) == 0:
				if len(p.Missing) > 0 && p.Next == "" {
					t.Errorf("nobody is told what to do: %+v", p)
				}
				return p
			case within > time.Minute:
				t.Fatalf("%+v, %v", p, err)
			}
		}
	}
	t.Run("in every copy", func(t *testing.T) {
		p := look(t, time.Minute, nearby)
		if len(p.Missing) > 0 || p.History != "" || len(p.Copies[0].Lacks) > 0 {
			t.Errorf("%+v", p)
		}
		// Nothing was written since, and still one is closed.
		again := look(t, time.Minute, nearby)
		if len(again.Missing) > 0 || again.Segment <= p.Segment {
			t.Errorf("%+v after %s", again, p.Segment)
		}
	})
	t.Run("compressed", func(t *testing.T) {
		dir := t.TempDir()
		a := archiveIn(t, "packed", dir, "")
		for name, size := range map[string]int{"00000002.history.zst": 10, "000000010000000000000001.gz": 10, "000000010000000000000002": 0} {
			write(t, filepath.Join(dir, name), strings.Repeat("x", size))
		}
		for name, want := range map[string]bool{"00000002.history": true, "000000010000000000000001": true, "000000010000000000000002": false, "000000010000000000000003": false} {
			if got, err := a.Has(ctx, name); got != want || err != nil {
				t.Errorf("%s: %v, %v", name, got, err)
			}
		}
	})
	t.Run("not in one of them", func(t *testing.T) {
		p := until(t, nearby, archiveIn(t, "offsite", t.TempDir(), ""))
		if len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "copy offsite has no "+p.Segment) {
			t.Errorf("%+v", p)
		}
	})
	t.Run("one that cannot be asked", func(t *testing.T) {
		store, err := storage.OpenDir(s.Copy())
		if err != nil {
			t.Fatal(err)
		}
		broken := storagetest.NewFaulty(store, storagetest.Fault{Op: storagetest.OnStat, Err: errors.New("access denied")})
		p := until(t, nearby, live.StoreArchive{Copy: "offsite", Store: broken, Prefix: "wal/"})
		if len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "copy offsite could not be asked") || !strings.Contains(p.Missing[0], "access denied") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("no copy at all", func(t *testing.T) {
		if p := look(t, time.Minute); len(p.Missing) != 1 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("the archive_command fails", func(t *testing.T) {
		run(t, root, "alter system set archive_command = 'false'", "select pg_reload_conf()")
		p := look(t, time.Minute, nearby)
		if len(p.Missing) != 2 || !strings.Contains(p.Missing[1], "the archive_command failed for") || !strings.Contains(p.Next, "log") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("archiving is off", func(t *testing.T) {
		w := startServer(t, filepath.Join(scratchDir(t), "off"), map[string]string{"fsync": "off"})
		p, err := live.Protected(ctx, w.URL("postgres"), live.Archives{Copies: []live.Archive{nearby}}, "")
		if err != nil || len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "archive_mode is off") || !strings.Contains(p.Next, "archive_mode = on") {
			t.Errorf("%+v, %v", p, err)
		}
	})
	t.Run("a receiver takes it", func(t *testing.T) {
		dir := scratchDir(t)
		w := startServer(t, filepath.Join(dir, "received"), map[string]string{"fsync": "off", "max_wal_senders": "4", "wal_level": "replica"})
		by := live.Archives{Copies: []live.Archive{archiveIn(t, "nearby", filepath.Join(dir, "copy"), "")}, Receiver: "comeback"}
		late, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		p, err := live.Protected(late, w.URL("postgres"), by, "")
		if err != nil || len(p.Missing) != 1 || !strings.Contains(p.Missing[0], "copy nearby has no "+p.Segment) || !strings.Contains(p.Next, "wal receive runs for the slot comeback") {
			t.Fatalf("nobody receives: %+v, %v", p, err)
		}
		receiving, stop := context.WithCancel(ctx)
		cmd := exec.CommandContext(receiving, s.Tools.Program("pg_receivewal"), "--dbname", w.URL("postgres"), "--directory", filepath.Join(dir, "copy"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer stop()
		for {
			late, cancel := context.WithTimeout(ctx, 2*time.Second)
			p, err := live.Protected(late, w.URL("postgres"), by, "")
			cancel()
			if err == nil && p.Segment != "" && len(p.Missing) == 0 && len(p.Copies[0].Lacks) == 0 {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%+v, %v", p, err)
			}
		}
	})
}

func archiveIn(t *testing.T, name, dir, prefix string) live.Archive {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return live.StoreArchive{Copy: name, Store: store, Prefix: prefix}
}
