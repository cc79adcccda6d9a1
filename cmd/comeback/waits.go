package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// waits tells on standard error what a command waits for before it has anything to show,
// where that takes longer than a second, as scanMeter does: also while nobody answers.
// A nil one tells nothing, for the console, which shows that itself.
type waits struct {
	meter *scanMeter
	begun time.Time
	done  chan struct{}
	ended sync.WaitGroup
	once  sync.Once

	mu   sync.Mutex
	what string
	// under are the surveys under way, in the order in which they began.
	under []catalogue.Progress
}

// waits begins to wait. Where nothing is to be shown it is nil.
func (a *app) waits(shown bool) *waits {
	if !shown {
		return nil
	}
	w := &waits{meter: newScanMeter(a, zone{at: a.now().Location()}), begun: a.now(), done: make(chan struct{})}
	w.ended.Go(func() {
		ticker := time.NewTicker(meterTerminal)
		defer ticker.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-ticker.C:
				w.show()
			}
		}
	})
	return w
}

// end ends it, and removes its line; once more does nothing.
func (w *waits) end() {
	if w == nil {
		return
	}
	w.once.Do(func() {
		close(w.done)
		w.ended.Wait()
		w.meter.end()
	})
}

// on says what is waited for from now on: "looking for database in offsite".
func (w *waits) on(format string, args ...any) {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.what = clean(w.meter.app.redact(fmt.Sprintf(format, args...)))
	w.mu.Unlock()
	w.show()
}

// survey takes what a survey tells.
func (w *waits) survey(p catalogue.Progress) {
	if w == nil {
		return
	}
	w.mu.Lock()
	same := func(o catalogue.Progress) bool {
		return o.Copy == p.Copy && o.Component == p.Component && o.Engine == p.Engine
	}
	if p.State == "reading" {
		w.under = append(w.under, p)
	} else {
		w.under = slices.DeleteFunc(w.under, same)
	}
	var places []string
	for _, o := range w.under {
		if place := o.Component + " in " + o.Copy; !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	w.mu.Unlock()
	switch len(places) {
	case 0: // the last of them stays until there is something else
	case 1:
		w.on("looking for %s", places[0])
	default:
		w.on("looking for %s and %d more", places[0], len(places)-1)
	}
}

// scan takes how far the log was read.
func (w *waits) scan(p recovery.ScanProgress) {
	if w != nil {
		w.on("reading the log: %s", scanText(p, w.meter.zone))
	}
}

// show tells it, where it is time to.
func (w *waits) show() {
	w.mu.Lock()
	what := w.what
	w.mu.Unlock()
	if what == "" {
		return
	}
	w.meter.show(fmt.Sprintf("%s .. %ds", what, int(w.meter.app.now().Sub(w.begun).Seconds())))
}

// surveyShown is survey, and shows what it waits for.
func (a *app) surveyShown(ctx context.Context, b *book, shown bool) (catalogue.Catalogue, error) {
	w := a.waits(shown)
	defer w.end()
	return a.survey(ctx, b, w.survey)
}

// planShown is plan, and shows what it waits for.
func (a *app) planShown(ctx context.Context, b *book, cat catalogue.Catalogue, c choices) (*recovery.Plan, error) {
	c.waits = a.waits(true)
	defer c.waits.end()
	return a.plan(ctx, b, cat, c)
}
