package recovery

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"comeback/storage"
)

// Survey is what an engine found for a component in a copy. It is made by
// reading only; what is missing or broken in the copy is data here, not an
// error of the survey.
type Survey struct {
	Component string    `json:"component"`
	Copy      string    `json:"copy"`
	Engine    string    `json:"engine"`
	At        time.Time `json:"at"`
	Backups   []Backup  `json:"backups,omitempty"`
	Windows   []Window  `json:"windows,omitempty"`
	Findings  []Finding `json:"findings,omitempty"`
	// Live are the paths that are live of the component, as its runbook writes them, where the
	// engine holds them against those that its backups are of.
	Live []string `json:"live,omitempty"`
}

// Named is the backup with an ID; false where none is listed.
func (s Survey) Named(id string) (Backup, bool) {
	i := slices.IndexFunc(s.Backups, func(b Backup) bool { return b.ID == id })
	if i < 0 {
		return Backup{}, false
	}
	return s.Backups[i], true
}

// WindowFrom is the window that starts from a backup; nil where none does.
func (s Survey) WindowFrom(backup string) *Window {
	i := slices.IndexFunc(s.Windows, func(w Window) bool { return w.Backup == backup })
	if i < 0 {
		return nil
	}
	return &s.Windows[i]
}

// Around names what can be restored right before a time and right after it, of backups
// in the order of time; nothing is what is said where none can.
func (s Survey) Around(at time.Time, nothing string) string {
	const layout = "2006-01-02 15:04:05Z"
	var before, after string
	for _, b := range s.Backups {
		if b.Problem != "" {
			continue
		}
		from := b.Taken.To
		if w := s.WindowFrom(b.ID); w != nil {
			from = w.From.Time
		}
		if !b.Taken.To.After(at) {
			before = b.ID + " of " + b.Taken.To.UTC().Format(layout)
		} else if after == "" {
			after = b.ID + " of " + from.UTC().Format(layout)
		}
	}
	switch {
	case before == "" && after == "":
		return nothing
	case before == "":
		return "the first after it is " + after
	case after == "":
		return "the last before it is " + before
	}
	return "the last before it is " + before + ", the first after it " + after
}

// NewestWindow is that of the newest backup that can be restored, along the newest
// timeline; nil where none has one.
func (s Survey) NewestWindow() *Window {
	for _, b := range slices.Backward(s.Backups) {
		for k := len(s.Windows) - 1; k >= 0; k-- {
			if s.Windows[k].Backup == b.ID && b.Problem == "" {
				return &s.Windows[k]
			}
		}
	}
	return nil
}

// Contradicted is a backup of which the clocks contradict each other, where it is, or says
// that it is, the newest that can be restored; false where none does.
func (s Survey) Contradicted() (Backup, bool) {
	for _, all := range [][]Backup{s.Backups, Freshest(s.Backups)} {
		for _, b := range slices.Backward(all) {
			if b.Problem != "" {
				continue
			}
			if !b.Contradicts.IsZero() {
				return b, true
			}
			break
		}
	}
	return Backup{}, false
}

// Backup is one restorable thing of a component in a copy.
type Backup struct {
	// ID names the backup within its copy and stays the same between
	// surveys; for most engines it is the key that people see in the copy.
	ID        string `json:"id"`
	Component string `json:"component"`
	Copy      string `json:"copy"`
	Engine    string `json:"engine"`
	// Form says what it is: "plain SQL, gzip", "custom archive",
	// "base backup, tar, zstd".
	Form string `json:"form"`
	// Objects are what must be read to restore it.
	Objects []storage.Object `json:"objects"`
	// Taken is the moment of its content as far as it is known: a dump's
	// moment is its start, a base backup's is its stop.
	Taken Span `json:"taken"`
	// Contradicts is when its store says that it was stored, where by that Taken was still
	// to come: one of the clocks was wrong.
	Contradicts time.Time `json:"contradicts,omitzero"`
	// Stop is the first position that a base backup can be recovered to.
	Stop     LSN    `json:"stop,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
	// Details are facts for people and the report: server version,
	// database, compression, start LSN.
	Details map[string]string `json:"details,omitempty"`
	// Problem says why it cannot be restored; empty if it can.
	Problem string `json:"problem,omitempty"`
	// Damaged says that the Problem has come since it was stored: parts of a backup
	// that was whole are gone or are others. A person decides what becomes of it.
	Damaged bool `json:"damaged,omitempty"`
	// Left says that the Problem is that nobody goes on where it is, on a timeline
	// that was left: all of it is there, and it comes back for whoever asks for that.
	Left bool `json:"left,omitempty"`
	// Elsewhere says that it is not in the copy, but in what the runbook names
	// beside it: it can be restored, and is no copy.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Holds is how much is in it, as far as it tells that in a survey.
	Holds Holds `json:"holds,omitzero"`
	// Archived is what lies in an archive of what is read to restore it, beside Objects.
	Archived Archived `json:"archived,omitzero"`
	// Facts are the engine's own, opaque to everyone else.
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Size is the number of bytes to read to restore the backup.
func (b Backup) Size() int64 {
	var n int64
	for _, o := range b.Objects {
		n += o.Size
	}
	return n
}

// Amount is how much is in the backup where it tells that, else how much is read to restore it.
// Of a snapshot a survey lists little of what is read.
func (b Backup) Amount() int64 {
	if b.Holds != (Holds{}) {
		return b.Holds.Bytes
	}
	return b.Size()
}

// DetailExceptions is the detail of a backup that tells what in it is not as it was to be.
const DetailExceptions = "exceptions"

// Fresh is the latest moment of its content, as far as its store's clock lets it be new: a
// clock that was ahead when it was taken makes it no newer than others.
func (b Backup) Fresh() time.Time {
	if !b.Contradicts.IsZero() {
		return b.Contradicts
	}
	return b.Taken.Last()
}

// Freshest are backups in the order of Fresh, the newest last.
func Freshest(backups []Backup) []Backup {
	backups = slices.Clone(backups)
	slices.SortStableFunc(backups, func(a, b Backup) int { return a.Fresh().Compare(b.Fresh()) })
	return backups
}

// ClockWarning says that the clocks contradict each other; empty where they do not.
func (b Backup) ClockWarning() string {
	if b.Contradicts.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s says that it was taken %s, and its store that it was stored %s: one of the clocks was wrong, and of which time it is is not known",
		b.ID, b.Taken.Says(), Span{From: b.Contradicts, To: b.Contradicts}.Says())
}

// PassedOver tells of what is not the latest by its store's clock, and says itself that it is
// newer.
func PassedOver(backups []Backup, latest Backup) (warnings []string) {
	for _, b := range backups {
		if says := b.ClockWarning(); says != "" && b.Problem == "" && b.ID != latest.ID && b.Taken.Last().After(latest.Taken.Last()) {
			warnings = append(warnings, "passed over "+says+"; if it is the newest, choose it by its name")
		}
	}
	return warnings
}

// Stored is when the newest of its objects was stored; zero where there is none.
func (b Backup) Stored() time.Time {
	var newest time.Time
	for _, o := range b.Objects {
		if o.Modified.After(newest) {
			newest = o.Modified
		}
	}
	return newest
}

// Span is a stretch of time, both ends included. Equal ends are a moment; a
// zero From is not known.
type Span struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Known reports whether the span is one moment.
func (s Span) Known() bool { return !s.From.IsZero() && s.From.Equal(s.To) }

// Last is the latest moment of the span that is known; zero where none is.
func (s Span) Last() time.Time {
	if s.To.IsZero() {
		return s.From
	}
	return s.To
}

// Window is a span of moments that can be restored from one backup.
type Window struct {
	Component string `json:"component"`
	Copy      string `json:"copy"`
	Engine    string `json:"engine"`
	// Backup is the ID of the backup that it starts from.
	Backup   string `json:"backup"`
	Timeline uint32 `json:"timeline"`
	// From is exclusive: strictly after the backup's stop. To is the last
	// commit of the last contiguous segment, or its time is zero where the
	// survey has not read that far (resolving does).
	From Instant `json:"from"`
	To   Instant `json:"to"`
	Gaps []Gap   `json:"gaps,omitempty"`
	// Final says that a later time than To is brought back as it was at To. Where it is
	// not, log that nobody has seen may lie between them, and the time is refused.
	Final bool `json:"final,omitempty"`
}

// Exactness is how exactly a moment within it can be reached: where positions in a log are
// known, between any two commits, else as a service's clock says.
func (w Window) Exactness() Exactness {
	if w.From.LSN == 0 && w.To.LSN == 0 {
		return ToSecond
	}
	return ToCommit
}

// Instant is a position with its time.
type Instant struct {
	Time time.Time `json:"time,omitzero"`
	LSN  LSN       `json:"lsn,omitempty"`
}

// Gap is a part of a window that cannot be restored, and why.
type Gap struct {
	From LSN `json:"from"`
	// To is exclusive; zero where nothing follows.
	To LSN `json:"to,omitempty"`
	// Object is the object that is missing or broken.
	Object string `json:"object"`
	// Why is "missing", "empty", "wrong size" or "other timeline".
	Why string `json:"why"`
}

// Finding is something about a copy that a person should know.
type Finding struct {
	Object string `json:"object,omitempty"`
	Says   string `json:"says"`
	// Do is the next step.
	Do string `json:"do,omitempty"`
}
