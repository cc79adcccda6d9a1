package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// finding finds where a rescue's copies go to.
type finding struct {
	app       *app
	book      *book
	cat       catalogue.Catalogue
	component recovery.Component
	copy      string // where to look; empty is everywhere
	asked     time.Time
	waits     *waits // is told what is waited for; it may be nil
}

// foundCopies are a rescue's copies: the first two, and further ones.
type foundCopies struct {
	want    recovery.Want // of the first
	before  recovery.Point
	after   *recovery.Point
	further []plan.Around
	// xids are the transactions in the order of their commits, changes what those
	// between two copies did to tables.
	xids    []recovery.XID
	changes [][]recovery.TableChange
}

// between are copies of two moments, the first with what is to be brought back, the
// second without it; without a second whole tables come back.
func (f finding) between(ctx context.Context, with, without string) (found foundCopies, err error) {
	found.changes = make([][]recovery.TableChange, 1)
	if without != "" {
		_, after, err := f.point(ctx, without)
		if err != nil {
			return found, err
		}
		found.after = &after
		if len(after.Beside) > 0 { // what was meant may be what a recovery took back
			return found, recovery.Errorf(fmt.Sprintf("set timeline: %d of the component %s to go along that one, or timeline: %d, which after a recovery is where the old system went on", after.Along, f.component.Name, after.Beside[len(after.Beside)-1]),
				"refused: in %s more than one history goes on after %s: beside that of timeline %d, which is followed, that of timeline %s", after.Copy, without, after.Along, strings.Trim(fmt.Sprint(after.Beside), "[]")).WithExit(recovery.Refused)
		}
	}
	found.want, found.before, err = f.point(ctx, with)
	if err == nil && found.after != nil && earlier(found.before, *found.after) {
		err = usage("give --until a later moment than --since", "%s lies before %s, and nothing was written between them", with, without)
	}
	return found, err
}

// earlier reports whether a point lies before another one: by their places in one log, else by
// their times.
func earlier(p, q recovery.Point) bool {
	if p.Stop != 0 && q.Stop != 0 && p.Timeline == q.Timeline {
		return p.Stop < q.Stop
	}
	return p.Time.Before(q.Time)
}

// point resolves where a copy goes to.
func (f finding) point(ctx context.Context, text string) (recovery.Want, recovery.Point, error) {
	want, err := recovery.ParseWant(text, f.asked)
	if err != nil {
		return want, recovery.Point{}, err
	}
	f.waits.on("looking for the moment %s of %s", text, f.component.Name)
	p, err := plan.ResolvePoint(ctx, f.cat, opener(f.book.secrets), f.book.Runbook, engines(), f.component, plan.Wanted{Want: want, Copy: f.copy})
	return want, p, err
}

// around are the copies around transactions. Where tables were named, the log does
// not tell what of it is about them.
func (f finding) around(ctx context.Context, numbers []uint, named bool) (found foundCopies, err error) {
	after := map[recovery.XID]recovery.Point{}
	var xids []recovery.XID
	var ends []recovery.Point
	for _, n := range numbers {
		_, p, err := f.point(ctx, fmt.Sprintf("after-xid:%d", n))
		if err != nil {
			return found, err
		}
		xid := recovery.XID(n)
		xids, ends, after[xid] = append(xids, xid), append(ends, p), p
	}
	span, err := plan.Together(xids, ends)
	if err != nil {
		return found, err
	}
	// What lies further back is not read once all of them were seen.
	log, err := f.read(ctx, ends[0], span, after)
	if err != nil {
		return found, err
	}
	chosen := func(xid recovery.XID) bool { _, ok := after[xid]; return ok }
	for _, t := range log {
		if chosen(t.XID) {
			found.xids = append(found.xids, t.XID)
		}
	}
	stretches, err := plan.Stretches(log, chosen, named)
	if err != nil {
		return found, err
	}
	for i, s := range stretches {
		want, before, err := f.point(ctx, fmt.Sprintf("before-xid:%d", s.First.XID))
		if err != nil {
			return found, err
		}
		found.changes = append(found.changes, s.Changes)
		then := after[s.Last.XID]
		if i == 0 {
			found.want, found.before, found.after = want, before, &then
			continue
		}
		found.further = append(found.further, plan.Around{Before: before, After: then})
	}
	return found, nil
}

// read reads what the log of a point's copy says was committed in a span, the oldest
// first, from the first of some transactions to the last. Names of tables are not
// needed: the copy from before a transaction knows their files.
func (f finding) read(ctx context.Context, p recovery.Point, span recovery.Span, among map[recovery.XID]recovery.Point) ([]recovery.Transaction, error) {
	var scanner recovery.Scanner
	o := recovery.ScanOptions{Component: f.component, Span: span, Progress: f.waits.scan}
	if survey, ok := f.cat.SurveyOf(p); ok {
		engine, store, err := f.app.openSurvey(ctx, f.book, survey)
		if err != nil {
			return nil, err
		}
		scanner, _ = engine.(recovery.Scanner)
		o.Survey, o.Store = survey, store
	}
	if scanner == nil {
		return nil, recovery.Errorf("choose a copy that holds the log", "nothing in %s tells what a transaction did", p.Copy).WithExit(recovery.Refused)
	}
	f.waits.on("reading the log in %s", p.Copy)
	left := len(among)
	var log []recovery.Transaction
	for t, err := range scanner.Scan(ctx, o) {
		if err != nil {
			return nil, catalogue.Explain(err, p.Copy)
		}
		if t.How != recovery.Committed && t.How != recovery.CommittedPrepared {
			continue
		}
		_, chosen := among[t.XID]
		if !chosen && left == len(among) {
			continue // after the last
		}
		log = append(log, t)
		if chosen {
			if left--; left == 0 {
				break
			}
		}
	}
	if left > 0 {
		for xid := range among {
			if !slices.ContainsFunc(log, func(t recovery.Transaction) bool { return t.XID == xid }) {
				return nil, recovery.Errorf("look for it with comeback moments --around", "the log in %s does not tell what transaction %d did", p.Copy, xid).WithExit(recovery.Refused)
			}
		}
	}
	slices.Reverse(log)
	return log, nil
}
