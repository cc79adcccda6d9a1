package pitr

import (
	"encoding/json"
	"path"

	"comeback/recovery"
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
}

// maxLogRoom is about how much log lies in scratch at a time.
const maxLogRoom = 3 << 30

// Plan makes two steps: the base backup is copied, then the log replayed.
func (e *engine) Plan(c recovery.Component, p recovery.Point, t recovery.Target) ([]recovery.Step, error) {
	var f pointFacts
	if err := json.Unmarshal(p.Facts, &f); err != nil {
		return nil, recovery.Errorf("choose the moment again with this version of comeback", "read the facts of the point of %s: %w", c.Name, err)
	}
	ref := func(key string, size int64) recovery.Ref { return recovery.Ref{Copy: p.Copy, Key: key, Size: size} }

	load := recovery.NewStep("copy", copyName, "copy the base backup",
		copyArgs{Copy: p.Copy, Target: t.ID, Backup: p.Backup.ID, Objects: p.Backup.Objects, Facts: f})
	load.Component, load.Writes = c.Name, []recovery.TargetID{t.ID}
	for _, o := range p.Backup.Objects {
		load.Reads = append(load.Reads, ref(o.Key, o.Size))
	}
	load.Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: t.ID, Bytes: room(p, f)}}

	replay := recovery.NewStep("replay", replayName, "replay the log", replayArgs{
		Component: c.Name, Copy: p.Copy, Target: t.ID, Stop: p.Stop, Inclusive: p.Inclusive, Timeline: p.Timeline,
		Kept: p.Kept, Lost: p.Lost, Facts: f,
		URL: c.Settings.Text("url"), Database: c.Settings.Text("database"), Superuser: c.Settings.Text("superuser")})
	replay.Component, replay.After, replay.Writes = c.Name, []string{load.ID}, []recovery.TargetID{t.ID}
	if size := f.Line.SegmentSize; size > 0 {
		first := SegmentName(f.Branch.on(segmentOf(f.Base.Start, size), size), segmentOf(f.Base.Start, size), size)
		for _, place := range f.Layout.Places[:min(1, len(f.Layout.Places))] {
			// One reference for the log from here to the point: it may be
			// very many objects.
			replay.Reads = []recovery.Ref{ref(path.Clean(place.key(first)), p.Bytes-p.Backup.Size())}
		}
	}
	return []recovery.Step{load, replay}, nil
}

// room is how much must be free for a point.
func room(p recovery.Point, f pointFacts) int64 {
	data := f.Unpacked
	if data == 0 {
		data = p.Backup.Size()
		if f.Base.Packing != Plain {
			data *= 5 // databases rarely compress better
		}
	}
	log := int64(f.Needs - f.Base.Start)
	return data + data/20 + min(log+f.Line.SegmentSize, maxLogRoom)
}
