package execute

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
)

const (
	// sampleEvery is how often a running step is shown: 4 Hz is as fast as a
	// person reads, and kind to a slow line.
	sampleEvery = 250 * time.Millisecond
	// maxPendingLines bounds the log lines that wait for the next sample; of a
	// flood the screen has some lines, and the artifact its beginning and its end.
	maxPendingLines = 200
)

// meter collects what a step shows and keeps its log.
type meter struct {
	x       *Executor
	step    recovery.Step
	attempt int
	log     *scribe
	// unlogged shows lines and keeps none.
	unlogged bool

	mu     sync.Mutex // guards what follows, and is never held while anything is written
	sample recovery.Sample
	since  time.Time // of the phase
	rate   float64
	last   int64
	lastAt time.Time
	dirty  bool
	// past is how far the phases before have come.
	past progress
}

func (x *Executor) newMeter(s recovery.Step) *meter {
	attempt := 1
	if st := x.state.Step(s.ID); st != nil {
		attempt = st.Attempts
	}
	m := &meter{x: x, step: s, attempt: attempt, sample: recovery.Sample{Step: s.ID}, past: progress{}}
	m.log = newScribe(x.Now, func() (logFile, error) { return createLog(x.Dir, logName(s.ID, attempt), x.KeptOfLog) }, m.show)
	return m
}

func (m *meter) Phase(name string, total int64, unit recovery.Unit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.sample.Lines
	m.leave()
	m.since = m.x.Now()
	m.sample = recovery.Sample{Step: m.step.ID, Phase: name, Total: total, Unit: unit, Lines: lines}
	m.rate, m.last, m.lastAt, m.dirty = 0, 0, m.since, true
}

func (m *meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample.Done += n
	m.dirty = true
}

func (m *meter) Set(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample.Done = n
	m.dirty = true
}

func (m *meter) Note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample.Note = m.x.Secrets.Redact(text)
	m.dirty = true
}

// leave remembers how far a phase has come, where it counts anything; mu is held.
func (m *meter) leave() {
	if m.sample.Unit != recovery.NoUnit && m.sample.Done > 0 {
		m.past.further(progress{m.sample.Phase: m.sample.Total - m.sample.Done})
	}
}

// came is how far the attempt has come.
func (m *meter) came() progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leave()
	return m.past
}

// Log keeps a line in the step's log file. It is shown once it can be read there, too.
func (m *meter) Log(line string) {
	line = m.x.Secrets.Redact(strings.TrimRight(line, "\r\n"))
	if m.unlogged {
		m.show(line)
		return
	}
	m.log.say(line)
}

// show shows lines that are kept elsewhere.
func (m *meter) show(lines ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := max(0, maxPendingLines-len(m.sample.Lines))
	m.sample.Lines = append(m.sample.Lines, lines[:min(room, len(lines))]...)
	m.dirty = true
}

func logName(step string, attempt int) string {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, strings.ToLower(step))
	if attempt > 1 {
		return fmt.Sprintf("%s.%d.log", name, attempt)
	}
	return name + ".log"
}

func (m *meter) Checkpoint(_ context.Context, text string) error {
	return m.x.record(recovery.StepCheckpoint{Step: m.step.ID, Text: text})
}

// take returns the sample since the last one.
func (m *meter) take(now time.Time) (recovery.Sample, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirty {
		return recovery.Sample{}, false
	}
	if d := now.Sub(m.lastAt); d >= sampleEvery && m.sample.Unit != recovery.NoUnit {
		// A moving average over some seconds: steady enough to read, quick
		// enough to show that something got slow.
		current := float64(m.sample.Done-m.last) / d.Seconds()
		weight := min(1, d.Seconds()/3)
		if m.rate == 0 {
			weight = 1
		}
		m.rate += (current - m.rate) * weight
		m.last, m.lastAt = m.sample.Done, now
	}
	s := m.sample
	s.At, s.PerSecond = now, m.rate
	if s.Total > 0 && m.rate > 0 && s.Done < s.Total && now.Sub(m.since) > time.Second {
		left := recovery.Scaled(time.Second, float64(s.Total-s.Done)/m.rate)
		s.Left = recovery.Duration(left.Round(time.Second))
	}
	m.sample.Lines, m.dirty = nil, false
	return s, true
}

// close ends the log; its digest goes into the step's last event.
func (m *meter) close() ([]recovery.Artifact, error) {
	m.log.end()
	if s, ok := m.take(m.x.Now()); ok && m.x.Sample != nil {
		m.x.Sample(s)
	}
	return m.log.close()
}

// publishSamples shows the running steps until ctx ends; the channel is closed
// when it has stopped.
func (x *Executor) publishSamples(ctx context.Context) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, r := range x.allUnderWay() {
				if s, ok := r.meter.take(x.Now()); ok && x.Sample != nil {
					x.Sample(s)
				}
			}
		}
	}()
	return done
}
