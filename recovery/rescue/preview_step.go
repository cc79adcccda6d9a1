package rescue

import (
	"context"
	"fmt"

	"comeback/recovery"
)

// previewKind looks at live. An interruption leaves files that the next attempt
// replaces.
type previewKind struct{}

func (previewKind) Name() string              { return KindPreview }
func (previewKind) Restart() recovery.Restart { return recovery.Repeat }

func (previewKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	dir, err := place(ctx, env, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	p, err := a.look(ctx, env, dir, PreviewOptions{files: "rescue", Samples: samplesShown})
	if err != nil {
		return recovery.Outcome{}, err
	}
	samples := map[string][]Sample{}
	for _, t := range p.Tables {
		samples[t.Table.String()] = t.Samples
	}
	if err := keep(dir, samplesFile, samples); err != nil {
		return recovery.Outcome{}, err
	}
	if err := keep(dir, previewFile, p); err != nil {
		return recovery.Outcome{}, err
	}
	for _, line := range p.Lines() {
		env.Meter().Log(line)
	}
	return p.outcome(), nil
}

// samplesShown is how many rows of each kind people are shown of each table.
const samplesShown = 5

// look makes a preview of what the difference in a directory would do to live.
func (a Args) look(ctx context.Context, env recovery.Env, dir string, o PreviewOptions) (Preview, error) {
	var d Difference
	ok, err := kept(dir, differenceFile, &d)
	if err == nil && !ok {
		err = fmt.Errorf("read what differs: it is not there: %w", recovery.ErrGone)
	}
	if err != nil {
		return Preview{}, err
	}
	choices, err := a.choices(d.Tables)
	if err != nil {
		return Preview{}, err
	}
	live, err := connectTo(ctx, a.Address, a.Identity, env.Secret)
	if err != nil {
		return Preview{}, err
	}
	defer live.Close(context.WithoutCancel(ctx)) // it only read
	meter := env.Meter()
	var now Name
	o.Live, o.Difference, o.Dir, o.Choices, o.SameCluster = live, d, dir, choices, a.SameCluster
	o.Progress = func(table Name, rows int64) {
		if table != now {
			now = table
			meter.Phase("look at "+table.String()+" in live", 0, recovery.InItems)
		}
		meter.Set(rows)
	}
	return Make(ctx, o)
}

// LoadPreview reads the preview that a run has made, with its samples, from the
// directory of its scratch target. ok is false where there is none.
func LoadPreview(dir string) (p Preview, ok bool, err error) {
	if ok, err = kept(dir, previewFile, &p); !ok || err != nil {
		return p, ok, err
	}
	samples := map[string][]Sample{}
	if _, err := kept(dir, samplesFile, &samples); err != nil {
		return p, false, err
	}
	for i := range p.Tables {
		p.Tables[i].Samples = samples[p.Tables[i].Table.String()]
	}
	return p, true, nil
}
