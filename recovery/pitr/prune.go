package pitr

import (
	"context"
	"fmt"
	"path"

	"comeback/recovery"
	"comeback/storage"
)

var _ recovery.Pruner = nativeEngine{}

// Shared lists the log that lies before the start of the oldest kept base backup, or
// of one that a kept one is incremental to: no recovery reads it. Histories stay. Where a kept backup does not tell where it
// starts, or is of another server, no log goes.
func (e nativeEngine) Shared(ctx context.Context, c recovery.Component, kept []recovery.Backup, store storage.Store) (needed []string, spare []storage.Object, err error) {
	var from recovery.LSN
	var line lineage
	for i, b := range kept {
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
		switch {
		case i == 0:
			from, line = start, f.Line
		case f.Line.System != line.System || f.Line.SegmentSize != line.SegmentSize:
			from = 0
		case start == 0 || from == 0:
			from = 0
		default:
			from = min(from, start)
		}
		if from == 0 {
			return needed, nil, nil
		}
	}
	if from == 0 || line.SegmentSize == 0 || line.System == "" {
		return needed, nil, nil
	}
	prefix, first := WALPrefix(c), segmentOf(from, line.SegmentSize)
	for o, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, nil, fmt.Errorf("list the log: %w", err)
		}
		f, ok := ParseFileName(path.Base(o.Key))
		if !ok || path.Dir(o.Key)+"/" != prefix || f.Kind == History || f.Seg(line.SegmentSize) >= first {
			continue
		}
		spare = append(spare, o)
	}
	maps, err := listNames(ctx, store, prefix+namesDir+line.System+"/")
	if err != nil {
		return nil, nil, err
	}
	// What is in the log that stays may have had its name, last, in the map before it.
	for i, m := range maps[:max(len(maps)-1, 0)] {
		if maps[i+1].at <= recovery.LSN(first*uint64(line.SegmentSize)) {
			spare = append(spare, m.object)
		}
	}
	return needed, spare, nil
}
