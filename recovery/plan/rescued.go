package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/runbooks"
	"comeback/storage"
)

// Finding finds where a rescue's copies go to.
type Finding struct {
	Runbook   *runbooks.Runbook
	Catalogue catalogue.Catalogue
	Engines   []recovery.Engine
	// OpenStore opens a copy, Open what a survey was made of.
	OpenStore catalogue.OpenStore
	Open      func(context.Context, recovery.Survey) (recovery.Engine, storage.Store, error)
	Component recovery.Component
	Copy      string // where to look; empty is everywhere
	// Asked is when it was asked for: what is relative is so to that.
	Asked time.Time
	// Waits is told what is waited for, Progress how far the log is read.
	Waits    func(format string, args ...any)
	Progress func(recovery.ScanProgress)
}

// Found are a rescue's copies: the first two, and further ones.
type Found struct {
	Want    recovery.Want // of the first
	Before  recovery.Point
	After   *recovery.Point
	Further []Around
	// XIDs are the transactions in the order of their commits, Changes what those
	// between two copies did to tables.
	XIDs    []recovery.XID
	Changes [][]recovery.TableChange
}

// Between are copies of two moments, the first with what is to be brought back, the
// second without it; without a second whole tables come back.
func (f Finding) Between(ctx context.Context, with, without string) (found Found, err error) {
	found.Changes = make([][]recovery.TableChange, 1)
	if without != "" {
		_, after, err := f.point(ctx, without)
		if err != nil {
			return found, err
		}
		found.After = &after
		if len(after.Beside) > 0 { // what was meant may be what a recovery took back
			return found, recovery.Errorf(fmt.Sprintf("set timeline: %d of the component %s to go along that one, or timeline: %d, which after a recovery is where the old system went on", after.Along, f.Component.Name, after.Beside[len(after.Beside)-1]),
				"refused: in %s more than one history goes on after %s: beside that of timeline %d, which is followed, that of timeline %s", after.Copy, without, after.Along, strings.Trim(fmt.Sprint(after.Beside), "[]")).WithExit(recovery.Refused)
		}
	}
	found.Want, found.Before, err = f.point(ctx, with)
	if err == nil && found.After != nil && earlier(found.Before, *found.After) {
		err = recovery.Errorf("give --until a later moment than --since", "%s lies before %s, and nothing was written between them", with, without).WithExit(recovery.Usage)
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
func (f Finding) point(ctx context.Context, text string) (recovery.Want, recovery.Point, error) {
	want, err := recovery.ParseWant(text, f.Asked)
	if err != nil {
		return want, recovery.Point{}, err
	}
	f.Waits("looking for the moment %s of %s", text, f.Component.Name)
	p, err := resolvePoint(ctx, f.Catalogue, f.OpenStore, f.Runbook, f.Engines, f.Component, Wanted{Want: want, Copy: f.Copy})
	return want, p, err
}

// Transactions are the copies around transactions. Where tables were named, the log does
// not tell what of it is about them.
func (f Finding) Transactions(ctx context.Context, numbers []uint, named bool) (found Found, err error) {
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
	span, err := Together(xids, ends)
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
			found.XIDs = append(found.XIDs, t.XID)
		}
	}
	stretches, err := Stretches(log, chosen, named)
	if err != nil {
		return found, err
	}
	for i, s := range stretches {
		want, before, err := f.point(ctx, fmt.Sprintf("before-xid:%d", s.First.XID))
		if err != nil {
			return found, err
		}
		found.Changes = append(found.Changes, s.Changes)
		then := after[s.Last.XID]
		if i == 0 {
			found.Want, found.Before, found.After = want, before, &then
			continue
		}
		found.Further = append(found.Further, Around{Before: before, After: then})
	}
	return found, nil
}

// read reads what the log of a point's copy says was committed in a span, the oldest
// first, from the first of some transactions to the last. Names of tables are not
// needed: the copy from before a transaction knows their files.
func (f Finding) read(ctx context.Context, p recovery.Point, span recovery.Span, among map[recovery.XID]recovery.Point) ([]recovery.Transaction, error) {
	var scanner recovery.Scanner
	o := recovery.ScanOptions{Component: f.Component, Span: span, Progress: f.Progress}
	if survey, ok := f.Catalogue.SurveyOf(p); ok {
		engine, store, err := f.Open(ctx, survey)
		if err != nil {
			return nil, err
		}
		scanner, _ = engine.(recovery.Scanner)
		o.Survey, o.Store = survey, store
	}
	if scanner == nil {
		return nil, recovery.Errorf("choose a copy that holds the log", "nothing in %s tells what a transaction did", p.Copy).WithExit(recovery.Refused)
	}
	f.Waits("reading the log in %s", p.Copy)
	left := len(among)
	var log []recovery.Transaction
	for t, err := range scanner.Scan(ctx, o) {
		if err != nil {
			return nil, catalogue.Explain(err, p.Copy)
		}
		if !committed(t) {
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
