package rescue

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// copyOf opens a session with a restored copy.
func copyOf(ctx context.Context, env recovery.Env, component string) (*pgx.Conn, string, error) {
	b, ok := env.Binding(component)
	if !ok {
		return nil, "", fmt.Errorf("find the copy %s: it is not there: %w", component, recovery.ErrGone)
	}
	config, err := postgres.ParseAddress(b.URL)
	if err != nil {
		return nil, "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, "", recovery.Errorf("try again: it is looked for anew", "connect to the copy %s: %w", component, err)
	}
	return conn, b.URL, nil
}

// diffKind compares the copies. An interruption leaves files that the next
// attempt replaces.
type diffKind struct{}

func (diffKind) Name() string              { return KindDiff }
func (diffKind) Restart() recovery.Restart { return recovery.Repeat }

func (diffKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	target, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	before, url, err := copyOf(ctx, env, a.Before)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer before.Close(context.WithoutCancel(ctx)) // it only read
	o := DiffOptions{Before: before, Dir: target.Dir}
	if a.After != "" {
		if o.After, _, err = copyOf(ctx, env, a.After); err != nil {
			return recovery.Outcome{}, err
		}
		defer o.After.Close(context.WithoutCancel(ctx)) // it only read
	}
	if o.Tables, err = a.tables(ctx, before); err != nil {
		return recovery.Outcome{}, err
	}
	meter := env.Meter()
	var now Name
	o.Progress = func(table Name, rows int64) {
		if table != now {
			now = table
			meter.Phase("compare "+table.String(), 0, recovery.InItems)
		}
		meter.Set(rows)
	}
	d, err := Diff(ctx, o)
	if err != nil {
		return recovery.Outcome{}, err
	}
	definitions := map[string]Definition{}
	for i := range d.Tables {
		t := &d.Tables[i]
		meter.Log(fmt.Sprintf("%s: %d removed, %d changed, %d added, of %d rows", t.Name, t.Removed, t.Changed, t.Added, t.Rows))
		if t.Gone || d.Whole {
			if definitions[t.Name.String()], err = define(ctx, env, before, t.Name, url); err != nil {
				return recovery.Outcome{}, err
			}
		}
	}
	if err := keep(target.Dir, definitionsFile, definitions); err != nil {
		return recovery.Outcome{}, err
	}
	if err := keep(target.Dir, differenceFile, d); err != nil {
		return recovery.Outcome{}, err
	}
	return d.outcome(), nil
}

// tables finds what to compare.
func (a Args) tables(ctx context.Context, before *pgx.Conn) ([]Selected, error) {
	if a.All {
		return All(ctx, before)
	}
	changes := a.Changes
	if len(a.Tables) > 0 {
		changes = nil
	}
	found, err := Find(ctx, before, a.Tables, changes)
	if err == nil && len(found) == 0 {
		err = refusedf("look at what it did: comeback moments --around", "transaction %d changed no table that the copy from before it has", a.XID)
	}
	return found, err
}

// outcome is the difference in counts.
func (d *Difference) outcome() recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{}}
	var says []string
	for i := range d.Tables {
		t := &d.Tables[i]
		counts := fmt.Sprintf("%d removed, %d changed, %d added", t.Removed, t.Changed, t.Added)
		if t.Gone {
			counts += ", the table itself dropped"
		}
		o.Facts["difference of "+t.Name.String()] = counts
		o.Facts["rows of "+t.Name.String()+", sha256"] = t.File.SHA256
		if t.Differs() && len(says) < 5 {
			says = append(says, t.Name.String()+": "+counts)
		}
		for _, note := range t.Notes {
			o.Remarks = append(o.Remarks, t.Name.String()+": "+note)
		}
	}
	o.Says = strings.Join(says, "; ")
	if len(says) == 0 {
		o.Says = "the copies do not differ"
	}
	return o
}

// define reads the definition of a table that may have to be made.
func define(ctx context.Context, env recovery.Env, copy *pgx.Conn, name Name, url string) (Definition, error) {
	var d Definition
	var major int
	if err := copy.QueryRow(ctx, "select current_setting('server_version_num')::int4 / 10000").Scan(&major); err != nil {
		return d, fmt.Errorf("ask the copy for its version: %w", err)
	}
	tools, err := postgres.FindTools(major)
	if err == nil {
		err = tools.Need("pg_dump")
	}
	if err != nil {
		return d, err
	}
	var sections [2]strings.Builder
	for i, section := range []string{"pre-data", "post-data"} {
		cmd := recovery.Cmd{Path: tools.Program("pg_dump"), Args: dumpTable(name, section, url), Dir: "/",
			Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "PGCONNECT_TIMEOUT=60"}, Stdout: &sections[i]}
		if err := env.Command(ctx, cmd); err != nil {
			return d, fmt.Errorf("read the definition of %s: %w", name, err)
		}
	}
	if d, err = ParseDefinition(strings.NewReader(sections[0].String()), strings.NewReader(sections[1].String())); err != nil {
		return d, fmt.Errorf("read the definition of %s: %w", name, err)
	}
	sequences, err := Sequences(ctx, copy, name)
	d.Before = append(d.Before, sequences...)
	return d, err
}
