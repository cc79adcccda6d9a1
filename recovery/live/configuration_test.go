package live_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// leavesOutStandbys wants commits not to wait for standbys that are to be made anew,
// wherever that is set, and to be told of it where it is or may be.
func (b *beside) leavesOutStandbys(t *testing.T) {
	conf, away := filepath.Join(b.Cluster(), "postgresql.conf"), filepath.Join(b.Dir, "away")
	original := read(t, conf)
	const set = "\nsynchronous_standby_names = 's1'\n"
	for _, c := range []struct {
		name    string
		begin   func()
		change  func(*live.Restored)
		dropped string
		// written says that postgresql.auto.conf sets it to nothing.
		written bool
		again   int
	}{
		{name: "nowhere", change: func(r *live.Restored) { r.Down = true }},
		{name: "in postgresql.conf of a server that was down", begin: func() { appendTo(t, conf, set) },
			change: func(r *live.Restored) { r.Down = true }, dropped: "set it again afterwards", written: true},
		{name: "in a file that it includes", begin: func() {
			appendTo(t, conf, "\ninclude_dir = 'standbys.d'\n")
			write(t, filepath.Join(b.Cluster(), "standbys.d", "one.conf"), set)
		}, change: func(r *live.Restored) { r.Down = true }, dropped: "set it again afterwards", written: true},
		{name: "since the server has read it", begin: func() { appendTo(t, conf, set) },
			change: func(*live.Restored) {}, dropped: "set it again afterwards", written: true},
		{name: "maybe elsewhere, of a server that was down", begin: func() {
			if err := os.Rename(conf, away); err != nil {
				t.Fatal(err)
			}
		}, change: func(r *live.Restored) { r.Down = true }, dropped: "could not be read while the server was down", written: true},
		{name: "not elsewhere, of a server that was asked", begin: func() {
			if err := os.Rename(conf, away); err != nil {
				t.Fatal(err)
			}
		}, change: func(*live.Restored) {}},
		{name: "in the backup, on a fresh host", begin: func() { write(t, filepath.Join(b.dir, "postgresql.conf.source"), original+set) },
			change: func(r *live.Restored) { r.Down, r.Live = true, filepath.Join(b.Dir, "fresh") }, dropped: "set it again afterwards", written: true, again: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.begin != nil {
				c.begin()
			}
			defer func() {
				if err := os.Rename(away, conf); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
				write(t, conf, original)
				if err := os.RemoveAll(filepath.Join(b.Cluster(), "standbys.d")); err != nil {
					t.Error(err)
				}
			}()
			r := b.prepared()
			r.Synchronous = ""
			c.change(&r)
			for range c.again + 1 {
				p, err := live.Prepare(within(t), &env{}, r)
				if err != nil {
					t.Fatal(err)
				}
				why := ""
				for _, d := range p.Dropped {
					if d.Name == "synchronous_standby_names" {
						why += d.Why
					}
				}
				if (why == "") != (c.dropped == "") || !strings.Contains(why, c.dropped) {
					t.Errorf("left out because %q, want %q", why, c.dropped)
				}
				auto, err := os.ReadFile(filepath.Join(b.dir, "postgresql.auto.conf"))
				if err != nil && !errors.Is(err, fs.ErrNotExist) || strings.Contains(string(auto), "\nsynchronous_standby_names = ''\n") != c.written {
					t.Errorf("%v, postgresql.auto.conf:\n%s", err, auto)
				}
				if says := strings.Join(p.Remarks, "\n"); strings.Contains(says, "synchronous_standby_names") {
					t.Errorf("remarks %q", says)
				}
			}
		})
	}
}

// needsAConfiguration wants a backup that brings none along not to be prepared on a fresh
// host, where nothing else knows of one: not before somebody has written it, or where the
// runbook's own commands start the server.
func (b *beside) needsAConfiguration(t *testing.T) {
	for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"} {
		for _, suffix := range []string{"", ".source"} {
			if err := os.RemoveAll(filepath.Join(b.dir, name+suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := b.prepared()
	r.Down, r.Live = true, filepath.Join(b.Dir, "fresh")
	for range 2 {
		_, err := live.Prepare(within(t), &env{}, r)
		refused(t, err, "brings no postgresql.conf along")
		if hint := recovery.HintOf(err); !strings.Contains(hint, "write a postgresql.conf and a pg_hba.conf into "+b.dir) {
			t.Errorf("next %q", hint)
		}
	}
	own := r
	own.Own = true
	if p, err := live.Prepare(within(t), &env{}, own); err != nil || !p.Fresh || len(p.Taken) > 0 {
		t.Errorf("with commands of its own: %+v, %v", p, err)
	}
	write(t, filepath.Join(b.dir, "postgresql.conf"), read(t, filepath.Join(b.Cluster(), "postgresql.conf")))
	write(t, filepath.Join(b.dir, "pg_hba.conf"), read(t, filepath.Join(b.Cluster(), "pg_hba.conf")))
	if p, err := live.Prepare(within(t), &env{}, r); err != nil || strings.Join(p.Taken, ", ") != "postgresql.conf, pg_hba.conf" {
		t.Errorf("with one that somebody has written: %+v, %v", p, err)
	}
}
