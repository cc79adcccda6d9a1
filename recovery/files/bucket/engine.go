package bucket

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// Name is the engine's name in a runbook.
const Name = "bucket"

// Options are what the engine takes from its surroundings; the zero value is
// this machine.
type Options struct {
	// Now is the time of surveys.
	Now func() time.Time
	// SyncEvery is about how many bytes are restored before they are made
	// durable and the journal is told; zero means a gigabyte.
	SyncEvery int64
	// Rows reads which files the rows of a restored database name; without it no
	// hash of a row decides between the versions of a bucket.
	Rows recovery.RowsOf
	// Listings gives the directory where what a bucket had at a moment is kept from the
	// choice of the moment to its restore; without it the bucket is listed for both.
	Listings func() (string, error)
}

const defaultSyncEvery = 1 << 30

// New makes the engine that restores a bucket to a moment by the versions
// of its objects: for each key the one that was current then. It is asked for by
// name, `with: bucket`, because nothing in a bucket tells that it is the
// uploads themselves and not a place for backups of them.
func New(o Options) recovery.Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	return engine{o}
}

type engine struct{ Options }

// Schema is what a component in a bucket may say.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Files, Versions: true, Keys: []recovery.Key{
		{Name: "prefix", Doc: "how the component's keys begin in the bucket; all of it if it is missing", Example: "uploads/"},
		{Name: "versioned_since", Doc: "since when the bucket keeps versions; from its oldest version on if it is missing", Example: "2026-01-31T00:00:00Z",
			Check: func(text string) error { _, err := sinceTime(text); return err }},
	}}
}

// sinceTime reads versioned_since.
func sinceTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, recovery.Errorf("write it with its offset, like 2026-01-31T00:00:00Z", "is not a time").WithExit(recovery.Usage)
	}
	return t, nil
}

// Kinds are the steps of a restore, and of putting it right by rows.
func (e engine) Kinds() []recovery.Kind { return []recovery.Kind{restoreKind{e}, rowsKind{e}} }

// facts are what is known of a bucket's past.
type facts struct {
	Prefix string `json:"prefix"`
	// Since is from when on absence is known, Moment the one that was chosen.
	Since  time.Time `json:"since,omitzero"`
	Moment time.Time `json:"moment,omitzero"`
	// Declared says that the runbook tells since when versions are kept, Hidden that
	// whether they are removed is not known.
	Declared bool  `json:"declared,omitempty"`
	Hidden   bool  `json:"hidden,omitempty"`
	Files    int64 `json:"files,string,omitempty"`
	Bytes    int64 `json:"bytes,string,omitempty"`
	// What has happened since the moment to what is current now: keys that were
	// overwritten, that were deleted, and that are new.
	Overwritten int64 `json:"overwritten,string,omitempty"`
	Removed     int64 `json:"removed,string,omitempty"`
	Added       int64 `json:"added,string,omitempty"`
	// Doubts are keys of which it is not known what was current at the moment.
	Doubts doubts `json:"doubts,omitzero"`
	// Current is the digest of which versions were current at the moment when it was
	// chosen, Listing that of what they were, where it is kept for the restore.
	Current string `json:"current,omitempty"`
	Listing string `json:"listing,omitempty"`
}

// count adds a key to what is known of the moment and since, and gives what was current.
func (f *facts) count(h history) *storage.Object {
	then, now := h.at(f.Moment), h.now()
	if why := h.doubt(f.Moment); why != "" {
		f.Doubts.add(fmt.Sprintf("the key %s: %s", tree.Show(h[0].Key), why))
	}
	if then != nil {
		f.Files++
		f.Bytes += then.Size
	}
	switch {
	case then != nil && now == nil:
		f.Removed++
	case then == nil && now != nil:
		f.Added++
	case then != nil && then.Version != now.Version:
		f.Overwritten++
	}
	return then
}

// Survey tells whether a copy keeps versions. The one backup of it is its past.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, store storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	versions, ok := storage.As[storage.Versioner](store)
	if c.With != Name || !ok {
		return s, nil
	}
	v, err := versions.Versioning(ctx, c.Settings.Text("prefix"))
	if err != nil {
		return s, fmt.Errorf("survey copy %s: %w", copy.Name, err)
	}
	f := facts{Prefix: c.Settings.Text("prefix")}
	b := recovery.Backup{ID: "versions", Component: c.Name, Copy: copy.Name, Engine: Name, Form: "versions of a bucket",
		Taken: recovery.Span{To: e.Now().UTC()}, Details: map[string]string{"prefix": f.Prefix}}
	if text := c.Settings.Text("versioned_since"); text != "" {
		if f.Since, err = sinceTime(text); err != nil {
			return s, fmt.Errorf("survey copy %s: `versioned_since: %.40s` %w", copy.Name, text, err)
		}
		f.Declared = true
	}
	if v.Expires > 0 {
		b.Details["versions expire"] = recovery.FormatSpan(v.Expires) + " after they were replaced"
		if oldest := e.Now().Add(-v.Expires).UTC(); oldest.After(f.Since) {
			f.Since = oldest
		}
	}
	if f.Hidden = v.Hidden; v.Hidden {
		b.Details["versions expire"] = "not known: the bucket's rules may not be read"
	}
	if !f.Since.IsZero() {
		b.Taken.From = f.Since
	}
	if then := storage.Then(store); !then.IsZero() {
		b.Taken.To = then.UTC()
	}
	if !v.On {
		b.Problem = "the bucket keeps no versions: what was overwritten or deleted is gone"
	}
	if b.Facts, err = json.Marshal(f); err != nil {
		return s, err
	}
	s.Backups = []recovery.Backup{b}
	return s, nil
}

// Resolve goes through the versions, and refuses a moment before the start of
// versioning: what is not there then may have been.
func (e engine) Resolve(ctx context.Context, s recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	versions, ok := storage.As[storage.Versioner](store)
	if len(s.Backups) == 0 || !ok {
		return recovery.Point{}, refusal("choose a copy in a bucket that keeps versions, and write `with: bucket`", "%s is no bucket that keeps versions of %s", s.Copy, s.Component)
	}
	b := s.Backups[0]
	if b.Problem != "" {
		return recovery.Point{}, refusal("turn versioning on, and restore from another copy", "%s in %s cannot be restored: %s", s.Component, s.Copy, b.Problem)
	}
	var f facts
	if err := json.Unmarshal(b.Facts, &f); err != nil {
		return recovery.Point{}, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", b.ID, err)
	}
	latest := e.latest(ctx, store)
	switch want.Kind {
	case recovery.WantTime:
		if f.Moment = want.Time.UTC(); f.Moment.After(latest) && !storage.Then(store).IsZero() {
			return recovery.Point{}, refusal("choose a moment up to then, or a later --as-of", "%s is read as it was at %s, and %s is later", s.Copy, latest.Format(time.RFC3339), want.Text)
		}
	case recovery.WantLatest, recovery.WantBackup:
		f.Moment = latest
	default:
		return recovery.Point{}, refusal(`use "latest" or a time with its offset`, "a bucket has no positions in a log, so %s cannot be reached", want.Text)
	}
	oldest := time.Time{} // since when versions are surely kept
	var clock storage.VersionClock
	listing := newListing(e.listingOf(s.Component, store, f.Prefix), e.Now())
	defer listing.drop()
	fit, unfit, current := fit{of: args{Facts: f}}, unfit{}, newCurrents()
	for h, err := range byKey(versions.Versions(ctx, f.Prefix)) {
		if err != nil {
			return recovery.Point{}, fmt.Errorf("list the versions of %s: %w", s.Copy, err)
		}
		for _, v := range h {
			clock.See(v)
			if !v.Unversioned && (oldest.IsZero() || v.Modified.Before(oldest)) {
				oldest = v.Modified
			}
		}
		if then := f.count(h); then != nil {
			b.Archived.Add(*then)
			listing.add(*then)
			current.add(*then)
			if why := fit.why(then.Key); why != "" {
				unfit.add(why)
			}
		}
	}
	if !f.Declared && (oldest.IsZero() || oldest.After(f.Since)) {
		f.Since = oldest // a rule that removes versions does not tell since when there are any
	}
	switch {
	case clock.Wrong():
		return recovery.Point{}, refusal("restore from a backup of the bucket, or from a service that keeps the times of versions",
			"%s gives versions that were overwritten the time of that and not their own: which was current when is not known", store.URL())
	case f.Since.IsZero():
		return recovery.Point{}, refusal("choose another copy, or say with versioned_since since when the bucket keeps versions", "no object of %s in %s has a version", s.Component, s.Copy)
	case f.Moment.Before(f.Since):
		return recovery.Point{}, refusal("choose a moment after it, or another copy; if the bucket has kept versions for longer, say so with versioned_since",
			"%s in %s is known from %s on: whether what is missing at %s was there is not known", s.Component, s.Copy, f.Since.Format(time.RFC3339), want.Text)
	}
	p := recovery.Point{Component: s.Component, Copy: s.Copy, Engine: Name, Exactness: recovery.ToSecond, Time: f.Moment, Bytes: f.Bytes,
		Says: fmt.Sprintf("%s, %s, by the versions of %s at %s", recovery.FormatCount(f.Files, "object"), recovery.FormatBytes(f.Bytes), store.URL(), f.Moment.Format("2006-01-02 15:04:05 MST"))}
	if f.Hidden && want.Kind == recovery.WantTime {
		p.Warnings = append(p.Warnings, fmt.Sprintf("whether a rule of %s removes versions is not known (allow s3:GetLifecycleConfiguration): what one has removed looks as if it had not been there", store.URL()))
	}
	for _, says := range []string{unfit.warning(), f.Doubts.warning()} {
		if says != "" {
			p.Warnings = append(p.Warnings, says)
		}
	}
	f.Current, f.Listing = current.digest(), listing.keep()
	b.Details["objects"] = strconv.FormatInt(f.Files, 10)
	var err error
	if b.Facts, err = json.Marshal(f); err != nil {
		return p, err
	}
	p.Backup = b
	return p, nil
}

// latest is the moment by which everything has its time that is in a bucket now. Its versions
// are dated by its own clock, which may be ahead of this host's, and tells whole seconds.
func (e engine) latest(ctx context.Context, store storage.Store) time.Time {
	if then := storage.Then(store); !then.IsZero() {
		return then.UTC()
	}
	now := e.Now().UTC()
	if clock, ok := storage.As[storage.Clock](store); ok {
		if t, err := clock.Now(ctx); err == nil { // one that does not tell it may well be listed
			t = t.UTC().Add(time.Second - time.Nanosecond)
			if t.After(now) {
				return t
			}
		}
	}
	return now
}

// Plan is one step.
func (e engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	if !t.Scratch {
		return nil, recovery.Errorf("restore into scratch", "a bucket is restored into scratch only, and %s is live", t.ID).WithExit(recovery.Refused)
	}
	var f facts
	if err := json.Unmarshal(p.Backup.Facts, &f); err != nil {
		return nil, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", p.Backup.ID, err)
	}
	s := recovery.NewStep("restore", restoreKind{}.Name(), fmt.Sprintf("restore %s by their versions (%s)", recovery.FormatCount(f.Files, "object"), recovery.FormatBytes(f.Bytes)),
		args{Component: c.Name, Copy: p.Copy, Target: t.ID, Facts: f})
	s.Component, s.Writes = c.Name, []recovery.TargetID{t.ID}
	s.Reads = []recovery.Ref{{Copy: p.Copy, Key: f.Prefix, Size: f.Bytes}}
	s.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: t.ID, Bytes: f.Bytes + f.Files*tree.Hole}}
	return []recovery.Step{s}, nil
}

func refusal(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
}
