package pitr

import (
	"cmp"
	"context"
	"path"
	"slices"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

var _ recovery.Pruner = nativeEngine{}

// Shared lists the log that lies before the start of the oldest kept base backup of its
// server, or of one that a kept one is incremental to: no recovery reads it. Histories stay.
// Where a kept backup does not tell where it starts, or of which server it is, no log goes,
// nor does that of a server of which none is kept: it may be another component's.
func (e nativeEngine) Shared(ctx context.Context, c recovery.Component, kept []recovery.Backup, store storage.Store) (needed []string, spare []storage.Object, err error) {
	oldest := map[string]oldestKept{} // by system
	known := true
	var bases []Base
	for _, b := range kept {
		for _, o := range b.Objects {
			needed = append(needed, o.Key)
		}
		f, err := decodeFacts(b)
		if err != nil {
			return nil, nil, err
		}
		start := f.Base.Start
		if len(f.Base.Chain) > 0 { // those stay with it, and their windows
			start = f.Base.Chain[0].Start
		}
		system := f.Line.System
		o, found := oldest[system]
		if start == 0 || system == "" || f.Line.SegmentSize == 0 || found && o.size != f.Line.SegmentSize {
			known = false
		}
		if !found || start < o.from {
			oldest[system] = oldestKept{start, f.Line.SegmentSize}
		}
		base := f.Base
		base.System, base.SegmentSize = system, f.Line.SegmentSize
		bases = append(bases, base)
	}
	if len(kept) == 0 || !known {
		return needed, nil, nil
	}
	if known, err = e.othersNeed(ctx, c, store, oldest); err != nil || !known {
		return needed, nil, err
	}
	n := e.native(c, neighbours.See(c, store))
	n.backups = n.wal // only the log is looked at
	found, err := n.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	archives, err := n.archives(ctx, found, &Contents{Bases: bases})
	if err != nil {
		return nil, nil, err
	}
	prefix := WALPrefix(c)
	var cut []string // systems
	for _, a := range archives {
		system := a.System
		if system == "" && len(oldest) == 1 && len(archives) == 1 { // it can only be that one's
			system = bases[0].System
		}
		o, ok := oldest[system]
		if !ok {
			continue
		}
		cut = append(cut, system)
		for _, f := range a.Files {
			if object := f.Object(); f.Kind != walfile.History && f.Seg(o.size) < o.first() && path.Dir(object.Key)+"/" == prefix {
				spare = append(spare, object)
			}
		}
	}
	slices.SortFunc(spare, func(a, b storage.Object) int { return cmp.Compare(a.Key, b.Key) })
	for _, system := range slices.Sorted(slices.Values(cut)) {
		all, err := listNames(ctx, store, prefix+namesDir+system+"/")
		if err != nil {
			return nil, nil, err
		}
		// What is in the log that stays may have had its name, last, in the map before it.
		o := oldest[system]
		for i, m := range all[:max(len(all)-1, 0)] {
			if all[i+1].at <= walfile.Start(o.first(), o.size) {
				spare = append(spare, m.object)
			}
		}
	}
	return needed, spare, nil
}

// othersNeed keeps the log that base backups of other components need, which no survey of
// this one sees: they may share it. It is false where one of them does not tell what it
// needs.
func (e nativeEngine) othersNeed(ctx context.Context, c recovery.Component, store storage.Store, oldest map[string]oldestKept) (known bool, err error) {
	if len(c.Claims.Others) == 0 {
		return true, nil
	}
	all := &native{store: store, wal: WALPrefix(c), read: e.Read}
	found, err := all.list(ctx)
	if err != nil {
		return false, err
	}
	bases, err := all.bases(ctx, found)
	if err != nil {
		return false, err
	}
	for _, b := range bases {
		if !c.Claims.Foreign(b.ID) && !c.Claims.Foreign(b.ID+"/") {
			continue
		}
		start := b.Start
		if len(b.Chain) > 0 {
			start = b.Chain[0].Start
		}
		if b.System == "" || start == 0 {
			return false, nil
		}
		if o, ok := oldest[b.System]; ok {
			o.from = min(o.from, start)
			oldest[b.System] = o
		}
	}
	return true, nil
}

// oldestKept is where the log begins that a cluster's kept backups need.
type oldestKept struct {
	from recovery.LSN
	size int64
}

// first is the segment that it lies in.
func (o oldestKept) first() uint64 { return walfile.Number(o.from, o.size) }
