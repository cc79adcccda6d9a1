package rescue

import (
	"context"
	"fmt"
	"slices"
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
	conn, err := postgres.ConnectRestored(ctx, config)
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
	dir, err := place(ctx, env, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := DiffOptions{Dir: dir}
	var urls []string // of the copies from before
	for i, around := range append([]Around{{a.Before, a.After, a.Changes}}, a.Further...) {
		var c Copies
		var url string
		if c.Before, url, err = copyOf(ctx, env, around.Before); err != nil {
			return recovery.Outcome{}, err
		}
		defer c.Before.Close(context.WithoutCancel(ctx)) // it only read
		urls = append(urls, url)
		if around.After != "" {
			if c.After, _, err = copyOf(ctx, env, around.After); err != nil {
				return recovery.Outcome{}, err
			}
			defer c.After.Close(context.WithoutCancel(ctx)) // it only read
		}
		if i > 0 {
			if c.Tables = o.Tables; len(a.Tables) == 0 {
				c.Tables, err = Find(ctx, c.Before, nil, around.Changes)
			}
			o.Further = append(o.Further, c)
		} else {
			o.Before, o.After = c.Before, c.After
			o.Tables, err = a.tables(ctx, c.Before)
		}
		if err != nil {
			return recovery.Outcome{}, err
		}
	}
	if !slices.ContainsFunc(append(o.Further, Copies{Tables: o.Tables}), func(c Copies) bool { return len(c.Tables) > 0 }) {
		return recovery.Outcome{}, refusedf("look at what it did: comeback moments --around", "%s changed no table that the copy from before it has", a.transactions())
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
	var exceptions, remarks []string
	for _, c := range append([]Copies{{Before: o.Before, After: o.After}}, o.Further...) {
		exception, remark, err := large(ctx, c.Before, c.After)
		if err != nil {
			return recovery.Outcome{}, err
		}
		exceptions, remarks = tell(exceptions, exception), tell(remarks, remark)
	}
	befores := []*pgx.Conn{o.Before}
	for _, c := range o.Further {
		befores = append(befores, c.Before)
	}
	definitions := map[string]Definition{}
	for i := range d.Tables {
		t := &d.Tables[i]
		meter.Log(fmt.Sprintf("%s: %d removed, %d changed, %d added, of %d rows", t.Name, t.Removed, t.Changed, t.Added, t.Rows))
		if t.Gone || d.Whole {
			if definitions[t.Name.String()], err = define(ctx, env, befores[t.in], t.Name, urls[t.in]); err != nil {
				return recovery.Outcome{}, err
			}
		}
	}
	if err := keep(dir, definitionsFile, definitions); err != nil {
		return recovery.Outcome{}, err
	}
	if err := keep(dir, differenceFile, d); err != nil {
		return recovery.Outcome{}, err
	}
	outcome := d.outcome()
	outcome.Exceptions, outcome.Remarks = append(outcome.Exceptions, exceptions...), append(outcome.Remarks, remarks...)
	return outcome, nil
}

// tell adds what is not told yet.
func tell(told []string, says string) []string {
	if says == "" || slices.Contains(told, says) {
		return told
	}
	return append(told, says)
}

// tables finds what to compare in the first copies.
func (a Args) tables(ctx context.Context, before *pgx.Conn) ([]Selected, error) {
	switch {
	case a.All:
		return All(ctx, before)
	case len(a.Tables) > 0:
		all := slices.Clone(a.Changes)
		for _, further := range a.Further {
			all = append(all, further.Changes...)
		}
		return Find(ctx, before, a.Tables, all)
	}
	return Find(ctx, before, nil, a.Changes)
}

// transactions names them.
func (a Args) transactions() string {
	if len(a.XIDs) == 1 {
		return fmt.Sprintf("transaction %d", a.XIDs[0])
	}
	return "transactions " + strings.Trim(fmt.Sprint(a.XIDs), "[]")
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
		if t.Apart > 0 {
			counts += fmt.Sprintf(", of which somebody else changed %d in between", t.Apart)
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
