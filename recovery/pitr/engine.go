package pitr

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// Options are what the engine needs from outside.
type Options struct {
	// Exe is the program that restore_command starts as `Exe wal fetch NAME
	// PATH`: this program itself. It must call walfetch.Ask.
	Exe string
	// Temp is the directory in which log is unpacked while it is searched;
	// empty is the system's. It takes up to some hundred megabytes.
	Temp string
	// Tools finds the programs of a major; nil is postgres.FindTools.
	Tools func(major int) (postgres.Tools, error)
	// Read says how objects are read; its Progress is not used.
	Read storage.ReadOptions
	// Now is the clock; nil is the system's.
	Now func() time.Time
	// SyncEvery is about how many bytes of a base backup are copied before
	// they are made durable and the journal is told; zero means a gigabyte.
	SyncEvery int64
}

const defaultSyncEvery = 1 << 30

// engine implements recovery.Engine over a form.
type engine struct {
	Options
	form Form
}

// nativeEngine also takes backups in the native form, saves log into it, and removes
// what is not needed any more.
type nativeEngine struct{ *engine }

// New makes the engine for the native form.
func New(o Options) recovery.Engine {
	return nativeEngine{newEngine(nativeForm{o.Read}, o)}
}

// NewOver makes the engine for another form, which it only reads.
func NewOver(f Form, o Options) recovery.Engine { return newEngine(f, o) }

func newEngine(f Form, o Options) *engine {
	if o.Tools == nil {
		o.Tools = postgres.FindTools
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	return &engine{o, f}
}

// name is the engine's, for `with:`.
func (e *engine) name() string { return e.form.Name() }

// Schema lists the settings of a component.
func (e *engine) Schema() recovery.Schema {
	keys := []recovery.Key{
		{Name: "url", Doc: "the live database's connection string; its path names the database, its user the superuser", Example: "${DATABASE_URL}"},
	}
	_, own := e.form.(nativeForm)
	return recovery.Schema{Engine: e.name(), Kind: recovery.Postgres, Outside: !own, Keys: append(append(keys, e.form.Keys()...),
		recovery.Key{Name: "timeline", Doc: "the timeline to follow where the archive holds several; the newest if not set", Example: "1",
			Check: func(text string) error { _, err := timelineOf(text); return err }},
		recovery.Key{Name: "database", Doc: "the database that checks look at, where the cluster has several", Example: "shop"},
		recovery.Key{Name: "superuser", Doc: "the superuser of the restored cluster, if it is not postgres", Example: "admin"})}
}

// Kinds are the steps that Plan uses.
func (e *engine) Kinds() []recovery.Kind {
	return []recovery.Kind{copyKind{e}, replayKind{e}, openKind{e}}
}

// Kinds are those of the engine, and one that saves log.
func (e nativeEngine) Kinds() []recovery.Kind { return append(e.engine.Kinds(), tailKind{e}) }

// prefixOf is the prefix that a setting names, or the setting prefix; it ends with a
// slash, or is empty.
func prefixOf(c recovery.Component, key string) string {
	p := c.Settings.Text(key)
	if p == "" {
		p = c.Settings.Text("prefix")
	}
	if p = strings.Trim(p, "/"); p != "" {
		p += "/"
	}
	return p
}

// wantedTimeline reads the setting timeline; 0 is the newest.
func wantedTimeline(c recovery.Component) (uint32, error) {
	n, err := timelineOf(c.Settings.Text("timeline"))
	if err != nil {
		return 0, fmt.Errorf("the setting `timeline: %s` of %s %w", c.Settings.Text("timeline"), c.Name, err)
	}
	return n, nil
}

// timelineOf reads a timeline that a runbook names; 0 is the newest.
func timelineOf(text string) (uint32, error) {
	if text == "" || text == "latest" || text == "newest" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, recovery.Errorf("give the number of a timeline, like 1, or leave it out for the newest", "is no timeline").WithExit(recovery.Usage)
	}
	return uint32(n), nil
}

// facts are what the engine keeps with a backup of a survey.
type facts struct {
	Layout Layout  `json:"layout"`
	Base   Base    `json:"base"`
	Line   lineage `json:"line"`
	// Branches are the histories that the backup is part of, the newest first.
	Branches []branch `json:"branches,omitempty"`
	// Archived is where the archive ended when it was surveyed.
	Archived recovery.LSN `json:"archived,omitempty"`
	// Timeline is what the runbook asks for; 0 is the newest.
	Timeline uint32 `json:"timeline,omitempty"`
	// Dead says that its timeline is one that nobody goes on with.
	Dead bool `json:"dead,omitempty"`
	// Stray is the newest timeline whose log is in the archive although nobody knows
	// where it branched off; 0 is none.
	Stray uint32 `json:"stray,omitempty"`
}

func (f facts) encode() json.RawMessage {
	b, err := json.Marshal(f)
	if err != nil {
		panic("pitr: facts of a backup: " + err.Error()) // plain data always encodes
	}
	return b
}

// decodeFacts reads what a survey kept with a backup.
func decodeFacts(b recovery.Backup) (facts, error) {
	var f facts
	if err := json.Unmarshal(b.Facts, &f); err != nil {
		return facts{}, recovery.Errorf("survey the copy again with this version of comeback", "read the facts of backup %s: %w", b.ID, err)
	}
	f.Base.Objects = b.Objects
	return f, nil
}

// lineage is what the log of a backup has in common, from the backup's own
// where that is known, else from the archive.
func (b Base) lineage(x *index) lineage {
	l := lineage{System: b.System, Major: b.Major, SegmentSize: b.SegmentSize, PageSize: b.PageSize}
	if x == nil {
		return l
	}
	if l.System == "" {
		l.System = x.System
	}
	if l.Major == 0 {
		l.Major = x.Major
	}
	if l.SegmentSize == 0 {
		l.SegmentSize = x.SegmentSize
	}
	if l.PageSize == 0 {
		l.PageSize = x.PageSize
	}
	return l
}
