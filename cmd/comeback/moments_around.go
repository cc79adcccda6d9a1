package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/storage"
)

const (
	defaultSpan  = 15 * time.Minute
	maxSpan      = 48 * time.Hour
	defaultLimit = 500
	maxLimit     = 100_000
	// maxLog bounds how much log is read at once.
	maxLog = 64 << 30
)

// whatHappened lists what transactions did around a time.
func (a *app) whatHappened(ctx context.Context, b *book, cat catalogue.Catalogue, servers liveServers, center around, z zone, o momentsAsked) error {
	read := false
	var failed error
	for _, c := range plan.RestoredDatabases(b.Runbook) {
		s, ok := cat.LogAround(c.Name, center.time)
		if !ok {
			continue
		}
		if read && !o.json {
			fmt.Fprintln(a.out)
		}
		read = true
		h := &happening{app: a, book: b, component: c, survey: s, live: servers[c.Name], asked: o, zone: z.with(servers[c.Name].Archiver)}
		if err := h.list(ctx, center); err != nil {
			failed = errors.Join(failed, err)
		}
		if ctx.Err() != nil {
			return failed
		}
	}
	if read {
		return failed
	}
	what := "no copy holds a log to read"
	switch {
	case o.engine != "":
		what += " by the engine " + o.engine
	case o.copy != "":
		what = "the copy " + o.copy + " holds no log to read"
	default:
		for _, c := range plan.RestoredDatabases(b.Runbook) {
			if err := cat.Empty(c.Name); err != nil {
				return err
			}
		}
	}
	return recovery.Errorf("choose a copy that comeback moments lists a window for; dumps have none", "%s", what).WithExit(recovery.Refused)
}

// happening is one look at what happened to a component.
type happening struct {
	*app
	book      *book
	component recovery.Component
	survey    recovery.Survey
	live      *liveServer
	asked     momentsAsked
	zone      zone
	engine    recovery.Engine
	store     storage.Store
	center    time.Time
	span      recovery.Span
	namer     namer
	// unnamed says why the live server gives no names.
	unnamed error
	found   found
	// written counts the lines of JSON.
	written int
}

func (h *happening) list(ctx context.Context, center around) error {
	var err error
	if h.engine, h.store, err = h.openSurvey(ctx, h.book, h.survey); err != nil {
		return err
	}
	scanner, ok := h.engine.(recovery.Scanner)
	if !ok {
		return recovery.Errorf("leave --engine out", "the engine %s reads no log", h.survey.Engine).WithExit(recovery.Usage)
	}
	w := h.waits(true)
	if center.xid != 0 {
		w.on("looking for transaction %d in %s", center.xid, h.survey.Copy)
	} else {
		w.on("looking for the end of the log in %s", h.survey.Copy)
	}
	err = h.aim(ctx, center)
	w.end()
	if err != nil {
		return catalogue.Explain(err, h.survey.Copy)
	}
	h.namer = namer{home: h.live.Database, unnamed: map[uint32]bool{}}
	h.namer.names, h.unnamed = h.namesFor(ctx, h.book, h.component.Name, h.live, h.survey)
	h.found = found{center: h.center, limit: h.asked.limit}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	show := newScanMeter(h.app, h.zone)
	o := recovery.ScanOptions{Component: h.component, Survey: h.survey, Store: h.store, Span: h.span, Names: h.namer.names,
		Progress: func(p recovery.ScanProgress) {
			if p.Total > maxLog {
				stop(errTooMuch)
			}
			show.progress(p)
		}}
	for t, e := range scanner.Scan(reading, o) {
		if e != nil {
			err = e
			break
		}
		if err = h.take(t); err != nil {
			break
		}
		if h.asked.json && h.written >= h.asked.limit {
			fmt.Fprintf(h.err, "stopped after %s, the newest; raise --limit for more\n", count(int64(h.written), "transaction"))
			break
		}
	}
	if !h.asked.json && err == nil {
		h.usual(ctx, scanner, o)
	}
	show.end()
	if errors.Is(err, errTooMuch) {
		err = recovery.Errorf("ask for less with --span", "that is more than %s of log, and was not read to its end", recovery.FormatBytes(maxLog)).WithExit(recovery.Refused)
	}
	if !h.asked.json {
		h.print()
	}
	return h.ended(ctx, err)
}

var errTooMuch = errors.New("too much log")

// usual tells what did harm from what happens at that time on most days.
func (h *happening) usual(ctx context.Context, scanner recovery.Scanner, o recovery.ScanOptions) {
	var harms []recovery.Transaction
	for _, harm := range h.found.harms {
		harms = append(harms, harm.Transaction)
	}
	h.found.habits = catalogue.LearnHabits(ctx, scanner, o, harms, h.zone.at, catalogue.HabitLog, nil)
}

// aim finds the span to look at.
func (h *happening) aim(ctx context.Context, center around) error {
	switch {
	case center.xid != 0:
		l, ok := h.engine.(recovery.Locator)
		if !ok {
			return recovery.Errorf("give a time instead", "the engine %s finds no transactions", h.survey.Engine).WithExit(recovery.Usage)
		}
		c, err := l.Locate(ctx, recovery.ScanOptions{Component: h.component, Survey: h.survey, Store: h.store}, center.xid)
		if err != nil {
			return err
		}
		h.center = c.Time
	case center.latest:
		p, err := h.engine.Resolve(ctx, h.survey, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, h.store)
		if err != nil {
			return err
		}
		h.center = p.Time
	default:
		h.center = center.time
	}
	h.span = recovery.Span{From: h.center.Add(-h.asked.span), To: h.center.Add(h.asked.span)}
	return nil
}

// take keeps or prints a transaction.
func (h *happening) take(t recovery.Transaction) error {
	wanted := (!h.asked.harm || len(t.Harms()) > 0) && (h.asked.table == "" || touches(t, h.asked.table))
	h.found.count(t, wanted && !h.asked.json)
	if !wanted || !h.asked.json {
		return nil
	}
	h.written++
	b, err := json.Marshal(struct {
		// Component is the one in whose log it is: with --to it is --component.
		Component string `json:"component"`
		recovery.Transaction
	}{h.component.Name, t})
	if err != nil {
		return fmt.Errorf("write a transaction: %w", err)
	}
	_, err = h.out.Write(append(b, '\n'))
	return err
}

// ended says how reading ended, after everything that was found is printed.
func (h *happening) ended(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		back := "nothing was read"
		if !h.found.oldest.IsZero() {
			back = "read back to " + h.zone.time(h.found.oldest)
		}
		fmt.Fprintf(h.err, "comeback: %v; %s\n", context.Cause(ctx), back)
		return &exitError{recovery.Interrupted}
	}
	return catalogue.Explain(err, h.survey.Copy)
}
