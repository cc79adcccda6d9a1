package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/runner"
	"comeback/recovery/verify"
)

// lookedTable is a table of a restored copy beside the live one.
type lookedTable struct {
	Table string `json:"table"`
	// Copy and Live are nil where there is no such table, or where it was not
	// asked for.
	Copy    *verify.TableRows `json:"copy,omitempty"`
	Live    *verify.TableRows `json:"live,omitempty"`
	Differs bool              `json:"differs,omitempty"`
}

// looked is all that `comeback look` lists.
type looked struct {
	Run       string        `json:"run"`
	Component string        `json:"component"`
	Paused    bool          `json:"paused"`
	Moment    string        `json:"moment"`
	Tables    []lookedTable `json:"tables"`
	// Lost is the first transaction that the moment does not keep; LostError
	// says why it could not be read.
	Lost      *lookedLost `json:"lost,omitempty"`
	LostError string      `json:"lost_error,omitempty"`
	// LiveError says why the live database could not be asked.
	LiveError string `json:"live_error,omitempty"`
}

// lookAtTables lists the tables of a copy with their rows.
func (a *app) lookAtTables(ctx context.Context, r runner.Past, url string, o looking) error {
	l := looked{Run: r.ID, Component: o.component, Tables: []lookedTable{}}
	if p, ok := r.State.Moment.Point(o.component); ok {
		l.Moment = p.Says
	}
	// A query that nothing can be wrong with tells first whether the server is
	// there, in the words for people.
	if _, err := verify.Look(ctx, o.component, url, "select 1", o.timeout); err != nil {
		return err
	}
	conn, err := verify.Connect(ctx, url, o.timeout)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if l.Paused, err = verify.Paused(ctx, conn); err != nil {
		return err
	}
	ours, err := verify.CountRows(ctx, conn, o.timeout, a.now)
	if err != nil {
		return err
	}
	var theirs []verify.TableRows
	if o.live {
		if theirs, err = a.liveRows(ctx, r.Plan, o); err != nil {
			l.LiveError = a.redact(err.Error())
		}
	}
	if l.Lost, err = a.firstLost(ctx, r, o.component, conn, ours); err != nil {
		l.LostError = a.redact(err.Error())
	}
	l.Tables = append(l.Tables, beside(ours, theirs, o.live && l.LiveError == "")...)
	if o.json {
		return a.printJSON(l)
	}
	a.printTables(l, o.live)
	return nil
}

// liveRows counts the rows of a component's live database.
func (a *app) liveRows(ctx context.Context, p *recovery.Plan, o looking) ([]verify.TableRows, error) {
	b, _, err := a.openFollowed(ctx, p.Runbook.Path)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.Components, func(c recovery.Component) bool { return c.Name == o.component })
	conn, err := postgres.ConnectComponent(ctx, p.Components[i], b.secrets.Expand)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "set default_transaction_read_only = on"); err != nil {
		return nil, fmt.Errorf("read the live database only: %w", err)
	}
	return verify.CountRows(ctx, conn, o.timeout, a.now)
}

// beside merges two lists by the names of their tables.
func beside(ours, theirs []verify.TableRows, compare bool) []lookedTable {
	var all []lookedTable
	for i := range ours {
		all = append(all, lookedTable{Table: ours[i].Table, Copy: &ours[i]})
	}
	for i := range theirs {
		j := slices.IndexFunc(all, func(t lookedTable) bool { return t.Table == theirs[i].Table })
		if j < 0 {
			all = append(all, lookedTable{Table: theirs[i].Table, Live: &theirs[i]})
			continue
		}
		all[j].Live = &theirs[i]
	}
	for i := range all {
		c, l := all[i].Copy, all[i].Live
		switch {
		case !compare:
		case c == nil || l == nil:
			all[i].Differs = true
		default:
			all[i].Differs = c.Rows >= 0 && l.Rows >= 0 && c.Rows != l.Rows
		}
	}
	slices.SortFunc(all, func(a, b lookedTable) int { return strings.Compare(a.Table, b.Table) })
	return all
}

// printTables prints what was found for people.
func (a *app) printTables(l looked, live bool) {
	stands := "open"
	if l.Paused {
		stands = "paused, not opened yet, read-only"
	}
	fmt.Fprintln(a.out, clean(a.redact(fmt.Sprintf("%s of run %s, %s: %s", l.Component, l.Run, stands, l.Moment))))
	if l.LiveError != "" {
		fmt.Fprintln(a.out, clean("the live database was not asked: "+l.LiveError))
	}
	live = live && l.LiveError == ""
	head := []string{"TABLE", "ROWS", ""}
	if live {
		head = []string{"TABLE", "COPY", "LIVE", ""}
	}
	right := []int{1}
	if live {
		right = []int{1, 2}
	}
	table := [][]string{head}
	for _, t := range l.Tables {
		row := []string{t.Table, rowsSay(t.Copy)}
		if live {
			row = append(row, rowsSay(t.Live))
		}
		table = append(table, append(row, remarks(t)))
	}
	for _, line := range columns(table, right) {
		fmt.Fprintln(a.out, a.redact(line))
	}
	if len(l.Tables) == 0 {
		fmt.Fprintln(a.out, "there are no tables")
	}
	switch {
	case l.Lost != nil:
		fmt.Fprintln(a.out, clean(a.redact(l.Lost.Says)))
	case l.LostError != "":
		fmt.Fprintln(a.out, clean("what is lost first was not read: "+l.LostError))
	}
}

// rowsSay is a number of rows: an estimate with ~, ? where it is not known and -
// where there is no such table.
func rowsSay(r *verify.TableRows) string {
	switch {
	case r == nil:
		return "-"
	case r.Rows < 0:
		return "?"
	case r.Estimate:
		return "~" + strconv.FormatInt(r.Rows, 10)
	}
	return strconv.FormatInt(r.Rows, 10)
}

// remarks say what live has more or less than the copy, and what is not known.
func remarks(t lookedTable) string {
	var all []string
	if t.Differs {
		all = append(all, "* "+difference(t))
	}
	if t.Copy != nil && t.Copy.Why != "" {
		all = append(all, t.Copy.Why)
	}
	if t.Live != nil && t.Live.Why != "" {
		all = append(all, "live: "+t.Live.Why)
	}
	return strings.Join(all, "; ")
}

// difference is that of two numbers that are not the same.
func difference(t lookedTable) string {
	switch {
	case t.Copy == nil:
		return "not in the copy"
	case t.Live == nil:
		return "not in live"
	}
	about := ""
	if t.Copy.Estimate || t.Live.Estimate {
		about = "about "
	}
	if n := t.Live.Rows - t.Copy.Rows; n > 0 {
		return fmt.Sprintf("%s%d more in live", about, n)
	}
	return fmt.Sprintf("%s%d fewer in live", about, t.Copy.Rows-t.Live.Rows)
}
