package tui

import (
	"context"
	"maps"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// How often the screen hears of a run: transitions soon, samples calmly.
const (
	eventPace  = 40 * time.Millisecond
	samplePace = 250 * time.Millisecond
	// logGrace is how long the first screen waits for the log that belongs to
	// it, so that a console comes back to a whole screen.
	logGrace = time.Second
)

// Limits of what is kept of a log for the screen; the whole of it is an
// artifact of the run.
const (
	logBatch = 2000
	logWidth = 4096
	// logBefore is how many of the events that came before the console are
	// told again.
	logBefore = 500
)

// snapshot is what has become of a run since the snapshot before.
type snapshot struct {
	state   recovery.State
	samples map[string]recovery.Sample
	lines   []logLine
	// here lists who looks at the run; nil until somebody said so.
	here []recovery.Watcher
	// over says that nothing more will come; err is why, where it should have.
	over bool
	err  error
}

// logLine is one line of a run's log, fit to be shown.
type logLine struct {
	at   time.Time
	text string
	// own says that a step's program has printed it, and not that the run did something.
	own bool
}

// feed reads a session and folds it, outside of the event loop, and hands over
// the newest snapshot whenever somebody asks. However fast a run talks, the
// screen is asked to draw a few times a second.
type feed struct {
	session recovery.Session
	zone    *time.Location
	out     chan snapshot
	stop    context.CancelFunc
}

// follow starts to read a session: its state first, then the newest events that
// led there, which are only told, and then those that come. It ends with ctx,
// with the session, or with stop.
func follow(ctx context.Context, s recovery.Session, zone *time.Location) *feed {
	ctx, stop := context.WithCancel(ctx)
	f := &feed{session: s, zone: zone, out: make(chan snapshot), stop: stop}
	go f.run(ctx)
	return f
}

// heard is an event, or the end of all events.
type heard struct {
	event recovery.Event
	err   error
	over  bool
}

func (f *feed) listen(ctx context.Context, from uint64, out chan<- heard) {
	send := func(h heard) bool {
		select {
		case out <- h:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for e, err := range f.session.Events(ctx, from) {
		if err != nil {
			send(heard{err: err, over: true})
			return
		}
		if !send(heard{event: e}) {
			return
		}
	}
	send(heard{over: true})
}

func (f *feed) run(ctx context.Context) {
	defer close(f.out)
	now := snapshot{state: recovery.NewState(f.session.Plan()), samples: map[string]recovery.Sample{}}
	events := make(chan heard)
	var samples <-chan recovery.Sample
	switch state, err := f.session.State(ctx); {
	case ctx.Err() != nil:
		return
	case err != nil:
		now.over, now.err = true, err
	default:
		now.state = state
		from := uint64(1)
		if state.Seq > logBefore {
			from = state.Seq - logBefore + 1
		}
		go f.listen(ctx, from, events)
		samples = f.session.Samples(ctx)
	}

	urgent, dirty := true, true
	before := now.state.Seq // up to here events are only told
	first := time.Duration(0)
	if before > 0 {
		first = logGrace
	}
	soon, calm := time.NewTimer(first), time.NewTimer(first)
	defer soon.Stop()
	defer calm.Stop()
	soonDone, calmDone := false, false
	for {
		var out chan snapshot
		if urgent && soonDone || dirty && calmDone {
			out = f.out
		}
		select {
		case h := <-events:
			urgent = true
			if h.over {
				now.over, now.err, events, soonDone = true, h.err, nil, true
				break
			}
			if h.event.Seq > now.state.Seq {
				now.state = recovery.Fold(now.state, h.event)
			}
			if told := now.state.Tell(h.event, f.zone); told.Says != "" && !told.Detail {
				f.log(&now, h.event.At, told.Line())
			}
			if h.event.Seq == before {
				soonDone = true
			}
		case s, ok := <-samples:
			if !ok {
				samples = nil
				break
			}
			dirty = true
			if s.Step == "" {
				now.here = s.Here
				break
			}
			for _, text := range s.Lines {
				f.log(&now, s.At, about(now.state, s.Step)+text)
				now.lines[len(now.lines)-1].own = true
			}
			s.Lines = nil
			now.samples = maps.Clone(now.samples)
			now.samples[s.Step] = s
		case <-soon.C:
			soonDone = true
		case <-calm.C:
			calmDone = true
		case out <- now:
			if now.over {
				return
			}
			now.lines, urgent, dirty, soonDone, calmDone = nil, false, false, false, false
			soon.Reset(eventPace)
			calm.Reset(samplePace)
		case <-ctx.Done():
			return
		}
	}
}

// log keeps a line for the screen.
func (f *feed) log(s *snapshot, at time.Time, text string) {
	if len(text) > logWidth {
		text = text[:logWidth] + cutMark
	}
	s.lines = append(s.lines, logLine{at: at, text: at.In(f.zone).Format("15:04:05") + " " + clean(text)})
	if extra := len(s.lines) - logBatch; extra > 0 {
		s.lines = s.lines[extra:]
		s.lines[0].text = cutMark + " here lines were left out; they are in the step's log"
	}
}

// next waits for the next snapshot.
func (f *feed) next(to *attached) tea.Cmd {
	return func() tea.Msg {
		s, ok := <-f.out
		if !ok {
			return nil
		}
		return heardMsg{to, s}
	}
}

// heardMsg brings a snapshot into the event loop.
type heardMsg struct {
	to *attached
	snapshot
}
