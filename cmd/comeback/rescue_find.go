package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// finding finds where a rescue's copies go to.
type finding struct {
	*app
	ctx       context.Context
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
func (f finding) between(with, without string) (found foundCopies, err error) {
	found.changes = make([][]recovery.TableChange, 1)
	if without != "" {
		_, after, err := f.point(without)
		if err != nil {
			return found, err
		}
		found.after = &after
	}
	found.want, found.before, err = f.point(with)
	return found, err
}

// point resolves where a copy goes to.
func (f finding) point(text string) (recovery.Want, recovery.Point, error) {
	want, err := recovery.ParseWant(text, f.asked)
	if err != nil {
		return want, recovery.Point{}, err
	}
	f.waits.on("looking for the moment %s of %s", text, f.component.Name)
	p, err := plan.ResolvePoint(f.ctx, f.cat, opener(f.book.secrets), f.book.Runbook, engines(), f.component, plan.Wanted{Want: want, Copy: f.copy})
	return want, p, err
}

// stretch are transactions of which only the chosen ones did anything to the tables
// that come back.
type stretch struct {
	first, last recovery.Transaction
	changes     []recovery.TableChange
}

// stretchesMost is how many stretches a rescue takes: each is restored twice.
const stretchesMost = 4

// clockStep is how far a server's clock may have been set back or forth between
// two transactions.
const clockStep = 10 * time.Minute

// around are the copies around transactions. Where tables were named, the log does
// not tell what of it is about them.
func (f finding) around(xids []uint, named bool) (found foundCopies, err error) {
	after := map[recovery.XID]recovery.Point{}
	var span recovery.Span
	var first recovery.Point
	for i, n := range xids {
		_, p, err := f.point(fmt.Sprintf("after-xid:%d", n))
		if err != nil {
			return found, err
		}
		if i == 0 {
			first, span = p, recovery.Span{From: p.Kept.Time, To: p.Kept.Time}
		}
		if p.Copy != first.Copy || p.Engine != first.Engine || p.Timeline != first.Timeline {
			return found, recovery.Errorf("rescue them one after the other, or say which copy with --copy", "transactions %d and %d are in different logs: %s, timeline %d, and %s, timeline %d",
				xids[0], n, first.Copy, first.Timeline, p.Copy, p.Timeline).WithExit(recovery.Refused)
		}
		if p.Kept.Time.Before(span.From) {
			span.From = p.Kept.Time
		}
		if p.Kept.Time.After(span.To) {
			span.To = p.Kept.Time
		}
		after[recovery.XID(n)] = p
	}
	// The times of commits are not in the order of the log, which counts here; what
	// lies further back is not read once all of them were seen.
	span.From, span.To = span.From.Add(-clockStep), span.To.Add(clockStep)
	log, err := f.read(first, span, after)
	if err != nil {
		return found, err
	}
	chosen := func(t recovery.Transaction) bool { _, ok := after[t.XID]; return ok }
	for _, t := range log {
		if chosen(t) {
			found.xids = append(found.xids, t.XID)
		}
	}
	all := stretches(log, chosen, named)
	if len(all) > stretchesMost {
		return found, recovery.Errorf("rescue fewer at once, the last first",
			"others changed the same tables between the transactions, so that the database would have to be restored %d times; %d are the most", 2*len(all), 2*stretchesMost).WithExit(recovery.Refused)
	}
	for i, s := range all {
		want, before, err := f.point(fmt.Sprintf("before-xid:%d", s.first.XID))
		if err != nil {
			return found, err
		}
		found.changes = append(found.changes, s.changes)
		then := after[s.last.XID]
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
func (f finding) read(p recovery.Point, span recovery.Span, among map[recovery.XID]recovery.Point) ([]recovery.Transaction, error) {
	var scanner recovery.Scanner
	o := recovery.ScanOptions{Component: f.component, Span: span, Progress: f.waits.scan}
	if survey, ok := f.cat.SurveyOf(p); ok {
		engine, store, err := f.openSurvey(f.ctx, f.book, survey)
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
	for t, err := range scanner.Scan(f.ctx, o) {
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

// stretches cuts the log where somebody else did something to a table of a chosen
// transaction, or may have.
func stretches(log []recovery.Transaction, chosen func(recovery.Transaction) bool, named bool) []stretch {
	// What was given another file goes under two numbers.
	all := named
	var tables []recovery.TableChange
	for _, t := range log {
		if chosen(t) {
			tables = append(tables, t.Tables...)
			all = all || t.AtLeast || slices.ContainsFunc(t.Tables, func(c recovery.TableChange) bool { return c.Created || c.Dropped || c.Truncated || c.Rewritten })
		}
	}
	disturbs := func(t recovery.Transaction) bool {
		return t.AtLeast || slices.ContainsFunc(t.Tables, func(c recovery.TableChange) bool {
			return slices.ContainsFunc(tables, func(o recovery.TableChange) bool {
				return c.Database == o.Database && (all || c.Filenode == o.Filenode)
			})
		})
	}
	var found []stretch
	disturbed := true
	for _, t := range log {
		switch {
		case !chosen(t):
			disturbed = disturbed || disturbs(t)
			continue
		case disturbed:
			found = append(found, stretch{first: t})
		}
		s := &found[len(found)-1]
		s.last, s.changes, disturbed = t, append(s.changes, t.Tables...), false
	}
	return found
}
