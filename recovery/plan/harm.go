package plan

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

const (
	// harmLog is how much log before a moment is read for harm, and how much of each earlier day
	// to tell it from what is usual, and harmWait how long all of that may take: nothing waits
	// long for it in an incident.
	harmLog  = 512 << 20
	harmWait = 20 * time.Second
	// harmsTold is how many things that happened are told one by one, harmsRead how many
	// harmful commits are remembered.
	harmsTold = 3
	harmsRead = 1000
)

// errMuch ends reading where there is more log than is read for a harm.
var errMuch = errors.New("too much log")

// WarnOfHarm adds to each point of a moment what harm it keeps, as the log tells of the day before
// it. It only reads; what could not be read is said, and refuses nothing.
func (g Logs) WarnOfHarm(ctx context.Context, m *recovery.Moment, live []recovery.Live) {
	m.Points = slices.Clone(m.Points)
	databases := Restored(g.Runbook)
	databases = slices.DeleteFunc(databases, func(c recovery.Component) bool { return c.Kind != recovery.Postgres })
	for i := range m.Points {
		p := &m.Points[i]
		at := slices.IndexFunc(databases, func(c recovery.Component) bool { return c.Name == p.Component })
		if at < 0 {
			continue
		}
		l := keptLog{Logs: g, component: databases[at], several: len(databases) > 1}
		for _, target := range live {
			if target.Component == p.Component {
				l.address = target.Target.Address
			}
		}
		says, err := l.harm(ctx, *p)
		if err != nil {
			says = append(says, "whether it keeps harm of the day before is not known: "+g.Redact(catalogue.Explain(err, l.survey.Copy).Error()))
		}
		p.Warnings = append(slices.Clone(p.Warnings), says...)
	}
}

// keptLog is the log of a component that a moment keeps.
type keptLog struct {
	Logs
	component recovery.Component
	// address is that of its live server, where its target was read; several says that each of
	// the databases has transactions of its own.
	address string
	several bool
	// survey is of the copy that has the log.
	survey recovery.Survey
}

// harm says what harm a point keeps; nothing where no copy has a log of before it.
func (l *keptLog) harm(ctx context.Context, p recovery.Point) ([]string, error) {
	replayed := p.Timeline != 0
	var ok bool
	if l.survey, ok = l.Catalogue.SurveyOf(p); !replayed || !ok {
		if l.survey, ok = l.Catalogue.LogAround(l.component.Name, p.Time); !ok || p.Time.IsZero() {
			return nil, nil
		}
		replayed = false
	}
	engine, store, err := l.Open(ctx, l.survey)
	if err != nil {
		return nil, err
	}
	scanner, ok := engine.(recovery.Scanner)
	if !ok {
		return nil, nil
	}
	ctx, stop := context.WithTimeoutCause(ctx, harmWait, errMuch)
	defer stop()
	survey := l.survey.Lineage(p.Backup.Details[recovery.SystemIdentifier])
	names, _ := l.Names(ctx, l.component.Name, l.address, survey) // who does not answer names nothing
	o := recovery.ScanOptions{Component: l.component, Survey: survey, Store: store, Names: names}
	scan := scanner.Scan
	if changer, ok := engine.(recovery.Changer); replayed && ok {
		scan = func(ctx context.Context, o recovery.ScanOptions) iter.Seq2[recovery.Transaction, error] {
			return changer.Changes(ctx, o, p)
		}
	}
	harms, err := harmsBefore(ctx, scan, o, p.Time)
	if !replayed { // only what has committed by then does harm
		harms = slices.DeleteFunc(harms, func(t recovery.Transaction) bool { return t.Time.After(p.Time) })
	}
	if len(harms) > 0 {
		habits := catalogue.LearnHabits(ctx, scanner, o, harms, l.Zone, harmLog, nil)
		harms = slices.DeleteFunc(harms, func(t recovery.Transaction) bool { return habits.Of(t.LSN).Holds() })
	}
	return recovery.KeptHarm(harms, recovery.Wording{}, harmsTold, func(t recovery.Transaction) string {
		if !slices.ContainsFunc(survey.Windows, func(w recovery.Window) bool { return t.LSN >= w.From.LSN && t.LSN < w.To.LSN }) {
			return ""
		}
		want := recovery.Want{}
		if l.several { // each has transactions of its own
			want.Of = l.component.Name
		}
		return want.To(t.Before())
	}), err
}

// harmsBefore are the harmful transactions of the day before a time, the newest first, as far
// back as the bounds on what is read allow.
func harmsBefore(ctx context.Context, scan func(context.Context, recovery.ScanOptions) iter.Seq2[recovery.Transaction, error], o recovery.ScanOptions, to time.Time) (harms []recovery.Transaction, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	o.Span = recovery.Span{From: to.Add(-recovery.HarmBack), To: to}
	o.Progress = func(s recovery.ScanProgress) {
		if s.Done > harmLog {
			stop(errMuch)
		}
	}
	for t, err := range scan(ctx, o) {
		switch {
		case errors.Is(context.Cause(ctx), errMuch):
			return harms, nil
		case err != nil:
			return harms, err
		case committed(t) && t.Time.Before(o.Span.From), len(harms) == harmsRead:
			return harms, nil
		case len(t.Harms()) > 0:
			harms = append(harms, t)
		}
	}
	return harms, nil
}

// committed reports whether the end of a transaction tells when it was.
func committed(t recovery.Transaction) bool {
	return t.How == recovery.Committed || t.How == recovery.CommittedPrepared
}
