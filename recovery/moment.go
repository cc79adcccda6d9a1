package recovery

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
)

// WantKind is the way in which a moment was asked for.
type WantKind string

// The ways to ask for a moment.
const (
	WantLatest    WantKind = "latest"     // the last commit that the copy holds
	WantTime      WantKind = "time"       // the last commit at or before a time
	WantLSN       WantKind = "lsn"        // nothing at or after a position
	WantBeforeXID WantKind = "before-xid" // everything before a transaction's commit
	WantAfterXID  WantKind = "after-xid"  // everything up to a transaction's commit, with it
	WantBackup    WantKind = "backup"     // the end of one backup
)

// Want is the point to go back to as a person asked for it.
type Want struct {
	Kind   WantKind  `json:"kind"`
	Time   time.Time `json:"time,omitzero"`
	LSN    LSN       `json:"lsn,omitempty"`
	XID    XID       `json:"xid,omitempty"`
	Backup string    `json:"backup,omitempty"`
	// Text is what was typed.
	Text string `json:"text"`
	// Look asks to stop before the copy is opened, where the engine can, so
	// that a person looks at it and may still choose another moment.
	Look bool `json:"look,omitempty"`
	// Table asks for one table only, "carts" or "app.carts", where the engine
	// can: a canary that tells whether the lost rows are there.
	Table string `json:"table,omitempty"`
	// Of is the component of which it is resolved, where several databases come back: no
	// moment is told without it then. It is not a part of what was asked for.
	Of string `json:"-"`
}

func (w Want) String() string { return w.Text }

// To is how to ask for another moment of the same component.
func (w Want) To(text string) string {
	if w.Of != "" {
		text += " --component " + w.Of
	}
	return "--to " + text
}

// OfLog reports whether a want names a transaction or a position in the log, of which
// every database has its own.
func (w Want) OfLog() bool {
	return w.Kind == WantLSN || w.Kind == WantBeforeXID || w.Kind == WantAfterXID
}

var ago = pattern.New(`^(\d+)\s*(s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?|d|days?)\s+ago$`)

// ParseWant reads the value of --to: "latest", an RFC 3339 time with offset,
// "10 minutes ago", "lsn:3/7A21F0C8", "before-xid:81214", "after-xid:81213", or
// a backup's id. A time without an offset is refused, because tool and server
// would read it in different zones.
func ParseWant(text string, now time.Time) (Want, error) {
	s := strings.TrimSpace(text)
	w := Want{Text: s}
	switch kind, value, _ := strings.Cut(s, ":"); {
	case s == "":
		return w, Errorf(`say for example latest, "10 minutes ago" or before-xid:81214`,
			"no moment to go back to was given").WithExit(Usage)
	case s == "latest":
		w.Kind = WantLatest
		return w, nil
	case kind == "lsn":
		lsn, err := ParseLSN(value)
		if err != nil {
			return w, Errorf("copy the LSN as PostgreSQL prints it", "%s: %w", s, err).WithExit(Usage)
		}
		w.Kind, w.LSN = WantLSN, lsn
		return w, nil
	case kind == "before-xid" || kind == "after-xid":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n < 3 {
			return w, Errorf("give the number that `comeback moments --around TIME` lists",
				"%s: %q is not a transaction id", s, value).WithExit(Usage)
		}
		w.Kind, w.XID = WantKind(kind), XID(n)
		return w, nil
	}
	if m := ago.FindStringSubmatch(strings.ToLower(s)); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 32)
		if err != nil {
			return w, Errorf("give a smaller number", "%q is too long ago", s).WithExit(Usage)
		}
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[m[2][0]]
		w.Kind, w.Time = WantTime, now.Add(-time.Duration(n)*unit)
		return w, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, strings.Replace(s, " ", "T", 1)); err == nil {
		w.Kind, w.Time = WantTime, t
		return w, nil
	}
	if looksLikeTime.MatchString(s) {
		example := now.Format(time.RFC3339)
		return w, Errorf("write it with its offset, like "+example,
			"%q is not an RFC 3339 time with an offset from UTC", s).WithExit(Usage)
	}
	w.Kind, w.Backup = WantBackup, s
	return w, nil
}

var looksLikeTime = pattern.New(`^(\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2})?.*|now|yesterday|today)$`)

// Exactness says how exactly a point can be reached.
type Exactness string

// The degrees of exactness.
const (
	ToCommit Exactness = "commit" // between two transactions
	ToSecond Exactness = "second" // as a service's clock says
	ToBackup Exactness = "backup" // the backup's own moment, nothing between
)

// Point is where one component goes back to: a moment that its engine has
// resolved, before the long copy, to something that it can reach and prove.
type Point struct {
	Component string    `json:"component"`
	Copy      string    `json:"copy"`
	Engine    string    `json:"engine"`
	Backup    Backup    `json:"backup"`
	Exactness Exactness `json:"exactness"`
	// Kept is the last commit that is kept, Lost the first that is not; the
	// latter is zero where nothing follows in the copy.
	Kept Commit `json:"kept,omitzero"`
	Lost Commit `json:"lost,omitzero"`
	// Timeline and Stop tell a WAL replay where to stop; Inclusive says
	// whether the record at Stop is still replayed.
	Timeline  uint32 `json:"timeline,omitempty"`
	Stop      LSN    `json:"stop,omitempty"`
	Inclusive bool   `json:"inclusive,omitempty"`
	// Beside are timelines whose log in the copy goes on after the point, and is no part
	// of the history that was followed to it, the newest timeline of which is Along. They are
	// no part of a plan.
	Beside []uint32 `json:"-"`
	Along  uint32   `json:"-"`
	// Time is the point as a time: of the last kept commit, or the dump's
	// start.
	Time time.Time `json:"time,omitzero"`
	// AtLeast says that the point may be later than Time, which is all that is known of it.
	AtLeast bool `json:"at_least,omitempty"`
	// Unchanged is until when nothing was committed after Kept, where something later
	// in the copy proves it: the end of a base backup. It is zero where Time is all
	// that is known.
	Unchanged time.Time `json:"unchanged,omitzero"`
	// Follows says that the copy shows that there was more after it than it can bring
	// back: log behind a gap, or a later backup that is of no use.
	Follows bool `json:"follows,omitempty"`
	// Bytes is what must be read to get there.
	Bytes int64 `json:"bytes,string"`
	// Configuration says where that of the backup's server is; empty where nobody can tell
	// before it is restored.
	Configuration Configuration `json:"configuration,omitempty"`
	// Says is the point in one line.
	Says string `json:"says"`
	// Warnings are what a person should know before choosing it.
	Warnings []string `json:"warnings,omitempty"`
	// Facts are the engine's own.
	Facts json.RawMessage `json:"facts,omitempty"`
}

// Configuration is where the configuration of a data directory's server is.
type Configuration string

// Of a backup it is in it, or outside of what it holds: Debian keeps it in /etc.
const (
	ConfigurationWithin  Configuration = "within"
	ConfigurationOutside Configuration = "outside"
)

// Commit is one transaction's end in the log.
type Commit struct {
	XID  XID       `json:"xid,omitempty"`
	Time time.Time `json:"time,omitzero"`
	// LSN is where its commit record starts, End where it ends.
	LSN LSN `json:"lsn,omitempty"`
	End LSN `json:"end,omitempty"`
}

// Moment is the point to go back to for the whole system.
type Moment struct {
	Want Want `json:"want"`
	// Anchor is the component that decides.
	Anchor string `json:"anchor"`
	// Points holds one point per component that comes back.
	Points []Point `json:"points"`
}

// Point finds the point of a component.
func (m Moment) Point(component string) (Point, bool) {
	for _, p := range m.Points {
		if p.Component == component {
			return p, true
		}
	}
	return Point{}, false
}

// Time is the anchor's time.
func (m Moment) Time() time.Time {
	p, _ := m.Point(m.Anchor)
	return p.Time
}

func (m Moment) String() string {
	p, ok := m.Point(m.Anchor)
	if !ok {
		return m.Want.Text
	}
	return fmt.Sprintf("%s: %s", p.Component, p.Says)
}
