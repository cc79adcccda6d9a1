package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/tui"
)

// history is what the console asks of a component's log and its live server.
type history struct {
	book      *book
	component recovery.Component
	survey    recovery.Survey
	live      *liveServer
}

// history finds a component's newest log in the copies that the console has
// surveyed, and asks its live server.
func (d *desk) history(ctx context.Context, path string, window tui.Choice) (history, liveServers, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return history{}, nil, err
	}
	d.mu.Lock()
	cat, ok := d.surveys[b.path]
	d.mu.Unlock()
	if !ok {
		if cat, err = d.app.survey(ctx, b, nil); err != nil {
			return history{}, nil, err
		}
	}
	cat = cat.Only(window.Copy, window.Engine)
	servers := d.app.askLive(ctx, b)
	for _, c := range plan.RestoredDatabases(b.Runbook) {
		s, found := cat.NewestLog(c.Name)
		for _, of := range cat.Lineages(c.Name) { // it may be of an older cluster
			_, has := s.Named(window.Backup)
			if _, its := of.Named(window.Backup); its && !has && len(of.Windows) > 0 {
				s = of
			}
		}
		if found && (window.Component == "" || window.Component == c.Name) {
			return history{book: b, component: c, survey: s, live: servers[c.Name]}, servers, nil
		}
	}
	servers.close()
	return history{}, nil, recovery.Errorf("choose a backup from the list; dumps have no log", "no copy holds a log to read").WithExit(recovery.Refused)
}

// Around reads what each transaction did.
func (d *desk) Around(ctx context.Context, path string, window tui.Choice, span recovery.Span, progress func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		h, scanner, o, err := d.scanner(ctx, path, window)
		if err != nil {
			yield(recovery.Transaction{}, err)
			return
		}
		o.Span, o.Progress = span, progress
		for t, err := range scanner.Scan(ctx, o) {
			if err != nil {
				err = catalogue.Explain(err, h.survey.Copy)
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// scanner opens what reads a component's log.
func (d *desk) scanner(ctx context.Context, path string, window tui.Choice) (history, recovery.Scanner, recovery.ScanOptions, error) {
	var o recovery.ScanOptions
	h, servers, err := d.history(ctx, path, window)
	if err != nil {
		return h, nil, o, err
	}
	defer servers.close()
	engine, store, err := d.app.openSurvey(ctx, h.book, h.survey)
	if err != nil {
		return h, nil, o, err
	}
	scanner, ok := engine.(recovery.Scanner)
	if !ok {
		return h, nil, o, recovery.Errorf("press t and type a time: this source goes to any second of its window", "the log of %s cannot be read here (engine %s)", h.component.Name, h.survey.Engine)
	}
	// Why the live server gives none the console says beside what it asks of it;
	// relations have the names that copies have.
	names, _ := d.app.namesFor(ctx, h.book, h.component.Name, h.live, h.survey)
	return h, scanner, recovery.ScanOptions{Component: h.component, Survey: h.survey, Store: store, Names: names}, nil
}

// Usual reads what was done on earlier days at the times of some harms.
func (d *desk) Usual(ctx context.Context, path string, window tui.Choice, harms []recovery.Transaction, progress func(share float64)) (*recovery.Habits, error) {
	h, scanner, o, err := d.scanner(ctx, path, window)
	if err != nil {
		return nil, catalogue.Explain(err, h.survey.Copy)
	}
	return catalogue.LearnHabits(ctx, scanner, o, harms, d.app.now().Location(), catalogue.HabitLog, progress), nil
}

// Live says how far the live server of a component is.
func (d *desk) Live(ctx context.Context, path, component string) (tui.Live, error) {
	h, servers, err := d.history(ctx, path, tui.Choice{Component: component})
	if err != nil {
		return tui.Live{}, err
	}
	defer servers.close()
	if h.live.err != nil {
		return tui.Live{}, h.live.err
	}
	a := h.live.Archiver
	l := tui.Live{At: a.Now, Zone: a.Zone, Archived: a.ArchivedAt}
	end := recovery.LogEnd(engines(), h.survey)
	for _, w := range h.survey.Windows {
		end = max(end, w.To.LSN)
	}
	if end > 0 {
		_, l.Unarchived = a.Rest(end)
	}
	if a.Failing() {
		l.Failure = fmt.Sprintf("archiving %s failed %s; the server's log has the words of its archive_command",
			a.Failed, a.FailedAt.Local().Format("2 Jan 15:04:05"))
	}
	return l, nil
}

// PushOut closes the live server's segment and returns when a copy has it.
func (d *desk) PushOut(ctx context.Context, path, component string) error {
	h, servers, err := d.history(ctx, path, tui.Choice{Component: component})
	if err != nil {
		return err
	}
	defer servers.close()
	if h.live.err != nil {
		return h.live.err
	}
	if err := h.live.sameCluster(h.survey); err != nil {
		return err
	}
	segment, err := postgres.SwitchWAL(ctx, h.live.conn)
	if err != nil {
		return err
	}
	if err := d.app.arrived(ctx, h.book, h.live, h.survey, segment, pushTime); err != nil {
		return err
	}
	cat, err := d.app.survey(ctx, h.book, nil) // what is in the copies has just changed
	if err != nil {
		return err
	}
	d.surveyed(h.book, cat)
	return nil
}

// pushTime is how long a segment that was pushed out may take to come into a
// copy.
const pushTime = 2 * time.Minute
