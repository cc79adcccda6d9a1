package pitr

import (
	"encoding/json"
	"errors"
	"path"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// copyArgs are the arguments of a pitr.copy step.
type copyArgs struct {
	Copy    string            `json:"copy"`
	Target  recovery.TargetID `json:"target"`
	Backup  string            `json:"backup"`
	Objects []storage.Object  `json:"objects"`
	Facts   pointFacts        `json:"facts"`
}

// replayArgs are the arguments of a pitr.replay step.
type replayArgs struct {
	Component string            `json:"component"`
	Copy      string            `json:"copy"`
	Target    recovery.TargetID `json:"target"`
	// Stop, Inclusive and Timeline are what the server is told.
	Stop      recovery.LSN    `json:"stop"`
	Inclusive bool            `json:"inclusive"`
	Timeline  uint32          `json:"timeline"`
	Kept      recovery.Commit `json:"kept,omitzero"`
	Lost      recovery.Commit `json:"lost,omitzero"`
	Facts     pointFacts      `json:"facts"`
	// URL is the live database's as the runbook gives it, a reference; it is
	// never connected to, it may name the database and the superuser.
	URL       string `json:"url,omitempty"`
	Database  string `json:"database,omitempty"`
	Superuser string `json:"superuser,omitempty"`
	// BecomesLive says that the cluster will take the place of a live one.
	BecomesLive bool `json:"becomes_live,omitempty"`
	// Look leaves the server paused at Stop, for people to look at.
	Look *lookArgs `json:"look,omitempty"`
}

// lookArgs say what people look at, where it is not all that the point keeps.
type lookArgs struct {
	// Kept is the last commit that the point keeps, Before how many bytes of
	// log before the point the server pauses, because of Lock.
	Kept   recovery.Commit `json:"kept,omitzero"`
	Before int64           `json:"before,string,omitempty"`
	Lock   *tableLock      `json:"lock,omitempty"`
	Locked bool            `json:"locked,omitempty"`
}

// maxLogRoom is about how much log lies in scratch at a time.
const maxLogRoom = 3 << 30

// Plan makes two steps: the base backup is copied, then the log replayed. Where
// the point asks for a look there are two more: the replay leaves the server
// paused, a person looks, and then it goes to the point and is opened.
func (e *engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	var f pointFacts
	if err := json.Unmarshal(p.Facts, &f); err != nil {
		return nil, recovery.Errorf("choose the moment again with this version of comeback", "read the facts of the point of %s: %w", c.Name, err)
	}
	look := f.Look
	f.Look = nil
	ref := func(key string, size int64) recovery.Ref { return recovery.Ref{Copy: p.Copy, Key: key, Size: size} }

	load := recovery.NewStep("copy", copyKind{e}.Name(), "copy the base backup",
		copyArgs{Copy: p.Copy, Target: t.ID, Backup: p.Backup.ID, Objects: p.Backup.Objects, Facts: f})
	load.Component, load.Writes = c.Name, []recovery.TargetID{t.ID}
	for _, o := range p.Backup.Objects {
		load.Reads = append(load.Reads, ref(o.Key, o.Size))
	}
	load.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: t.ID, Bytes: room(p, f)}}

	replay := recovery.NewStep("replay", replayKind{e}.Name(), "replay the log", replayArgs{
		Component: c.Name, Copy: p.Copy, Target: t.ID, Stop: p.Stop, Inclusive: p.Inclusive, Timeline: p.Timeline,
		Kept: p.Kept, Lost: p.Lost, Facts: f,
		URL: c.Settings.Text("url"), Database: c.Settings.Text("database"), Superuser: c.Settings.Text("superuser"),
		BecomesLive: t.BecomesLive})
	replay.Component, replay.After, replay.Writes = c.Name, []string{load.ID}, []recovery.TargetID{t.ID}
	if size := f.Line.SegmentSize; size > 0 {
		first := walfile.SegmentName(f.Branch.on(walfile.Number(f.Base.Start, size), size), walfile.Number(f.Base.Start, size), size)
		for _, place := range f.Layout.Places[:min(1, len(f.Layout.Places))] {
			// One reference for the log from here to the point: it may be
			// very many objects.
			replay.Reads = []recovery.Ref{ref(path.Clean(place.key(first)), p.Bytes-p.Backup.Size())}
		}
	}
	if look != nil {
		return e.withLook(load, replay, p, f, look)
	}
	return []recovery.Step{load, replay}, nil
}

// withLook puts a look between the replay and the opening. What is copied is the
// same for every point that the backup leads to, so that another one, later, goes
// on from what is there.
func (e *engine) withLook(load, replay recovery.Step, p recovery.Point, f pointFacts, look *lookAt) ([]recovery.Step, error) {
	var all copyArgs
	var at replayArgs
	if err := errors.Join(load.Decode(&all), replay.Decode(&at)); err != nil {
		return nil, err
	}
	all.Facts.Branch, all.Facts.Needs = nil, 0
	open := recovery.NewStep("open", openKind{e}.Name(), "go to the point and open", at)
	open.Component, open.Writes = replay.Component, replay.Writes
	for _, r := range replay.Reads { // what the look does not need
		r.Size = int64(f.Needs - look.Needs)
		open.Reads = append(open.Reads, r)
	}

	at.Look = &lookArgs{Lock: look.Lock, Locked: look.Locked}
	if look.Stop != at.Stop || look.Inclusive != at.Inclusive {
		at.Look.Kept, at.Look.Before = at.Kept, int64(at.Stop-look.Stop)
	}
	at.Stop, at.Inclusive, at.Kept, at.Lost, at.Facts.Needs = look.Stop, look.Inclusive, look.Kept, look.Lost, look.Needs
	load.Args = recovery.NewStep("", "", "", all).Args
	replay.Args = recovery.NewStep("", "", "", at).Args
	replay.Says, replay.Position = "replay the log and pause", look.Stop
	if look.Inclusive {
		replay.Position = look.Needs
	}

	wait := recovery.NewStep("look", recovery.KindTicks, "look at the paused copy",
		recovery.TicksArgs{Items: []string{"Looked: the data are what they should be (" + p.Stop.String() + ")"}})
	wait.Component, wait.After, wait.MayPass = replay.Component, []string{replay.ID}, true
	open.After = []string{wait.ID}
	return []recovery.Step{load, replay, wait, open}, nil
}

// room is how much must be free for a point.
func room(p recovery.Point, f pointFacts) int64 {
	data := f.Unpacked
	if data == 0 {
		data = p.Backup.Size()
		if f.Base.Packing != Plain {
			data *= 5 // databases rarely compress better
		}
		if len(f.Base.Chain) > 0 {
			data *= 2 // what is combined, and what comes of it
		}
	}
	log := int64(f.Needs - f.Base.Start)
	return data + data/20 + min(log+f.Line.SegmentSize, maxLogRoom)
}
