package catalogue

import (
	"context"
	"errors"
	"time"

	"comeback/recovery"
)

// HabitLog bounds how much log of an earlier day is read for whoever looks for a moment.
const HabitLog = 2 << 30

// errMuch ends the reading of a day that has more log than is read for it.
var errMuch = errors.New("too much log")

// LearnHabits reads the same time on earlier days, to tell harm from what happens
// every night. A day that cannot be read, or has more log than most, is not known, and those
// before it have as much.
// Progress, which may be nil, is told which share of all days was read.
func LearnHabits(ctx context.Context, scanner recovery.Scanner, o recovery.ScanOptions, harms []recovery.Transaction, at *time.Location, most int64, progress func(share float64)) *recovery.Habits {
	var since time.Time
	for _, w := range o.Survey.Windows {
		if since.IsZero() || w.From.Time.Before(since) {
			since = w.From.Time
		}
	}
	habits := recovery.NewHabits(harms, at, since)
	show := o.Progress
	spans := habits.Spans()
	for i, s := range spans {
		reading, stop := context.WithCancelCause(ctx)
		o.Span = s
		o.Progress = func(p recovery.ScanProgress) {
			if p.Total > most {
				stop(errMuch)
			}
			if show != nil {
				show(p)
			}
			if progress != nil {
				progress((float64(i) + float64(p.Done)/float64(max(1, p.Total))) / float64(len(spans)))
			}
		}
		err := habits.Read(s, scanner.Scan(reading, o))
		stop(nil)
		if ctx.Err() != nil || errors.Is(err, errMuch) {
			break
		}
	}
	return habits
}
