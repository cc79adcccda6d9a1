package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/neighbours"
	"comeback/recovery/pitr/walfile"
)

// SaveTail saves into a copy what it lacks of a server's log: whole segments, the
// last one up to where it is filled, as NAME.partial, and the histories of
// timelines. Nothing is overwritten: an object that is there with the same bytes
// is as good, with others it is refused, after everything else was saved. Only a
// NAME.partial that holds the beginning of what the server has in it by now is
// replaced. Doing it again goes on where it was.
//
// What the server recycled, or made for later, is not saved: its first page says
// that it holds other log. Of a server that still runs it saves what is on disk.
func (e nativeEngine) SaveTail(ctx context.Context, o recovery.TailOptions) (recovery.Tail, error) {
	wal, err := readTail(o.Dir)
	if err != nil {
		return recovery.Tail{}, err
	}
	repo := e.native(o.Component, neighbours.See(o.Component, o.Store))
	contents, err := repo.Contents(ctx)
	if err != nil {
		return recovery.Tail{}, err
	}
	place, files, err := tailPlace(contents, wal.line, repo.wal, o)
	if err != nil {
		return recovery.Tail{}, err
	}
	t := recovery.Tail{System: wal.line.System, Timeline: wal.timelines[len(wal.timelines)-1]}
	have := map[string]bool{}
	for _, f := range files {
		if f.Kind != walfile.Segment || fault(f, wal.line.SegmentSize) == "" {
			have[f.Name()] = true
		}
	}
	var queue []tailFile
	lacks := func(f tailFile) {
		if have[strings.TrimSuffix(f.name, ".partial")] || f.kind != walfile.Partial && have[f.name] {
			t.There++
			return
		}
		queue = append(queue, f)
	}
	tools, err := e.Tools(wal.line.Major)
	if err == nil {
		err = tools.Need("pg_waldump")
	}
	if err != nil {
		return recovery.Tail{}, fmt.Errorf("read the log in %s: %w", o.Dir, err)
	}
	for _, f := range wal.others {
		lacks(f)
	}
	for _, r := range wal.runs() {
		j := tailJudge{tools: tools, temp: e.Temp, line: wal.line, have: have}
		if err := j.judge(ctx, r); err != nil {
			return recovery.Tail{}, err
		}
		for _, f := range j.segments {
			lacks(f)
		}
		if t.End = max(t.End, j.end); j.last.LSN > t.Last.LSN {
			t.Last = j.last
		}
	}
	return tailJudge{tools: tools, temp: e.Temp, line: wal.line}.saveAll(ctx, o, place, queue, t)
}

// saveAll puts files into the copy, in the order of the log, so that what an
// interruption leaves has no gap.
func (j tailJudge) saveAll(ctx context.Context, o recovery.TailOptions, place Place, queue []tailFile, t recovery.Tail) (recovery.Tail, error) {
	var total int64
	for _, f := range queue {
		total += f.size
	}
	var done int64
	var differs []string
	for _, f := range queue {
		key := place.key(f.name)
		added, err := j.putTail(ctx, o.Store, key, f)
		switch {
		case err == nil && added:
			t.Saved, t.Bytes = append(t.Saved, key), t.Bytes+f.size
		case err == nil:
			t.There++
		case errors.Is(err, errOther):
			differs = append(differs, err.Error())
		default:
			return t, err
		}
		if f.kind == walfile.Partial && err == nil {
			t.Partial = key
		}
		if done += f.size; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	if len(differs) > 0 {
		return t, recovery.Errorf("nothing was overwritten: save the log into another copy with --copy, or move that object away when you know that it is worth less",
			"save the log in %s: %s", o.Dir, strings.Join(differs, "; ")).WithExit(recovery.Refused)
	}
	return t, nil
}

// tailPlace is where the cluster's archive lies in a copy, with what it holds.
func tailPlace(c Contents, l lineage, setting string, o recovery.TailOptions) (Place, []File, error) {
	refuse := func(hint, format string, args ...any) (Place, []File, error) {
		return Place{}, nil, recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
	}
	var others []string
	for _, a := range c.Archives {
		if a.System == l.System {
			return a.newestPlace(), a.Files, nil
		}
		others = append(others, a.System)
	}
	for _, b := range c.Bases {
		if b.System != "" && b.System != l.System {
			others = append(others, b.System)
		}
	}
	switch {
	case len(others) > 0:
		slices.Sort(others)
		return refuse("name the pg_wal of the right server, or the right copy with --copy",
			"the log in %s is of another cluster: its system identifier is %s, and %s holds %s", o.Dir, l.System, o.Copy, strings.Join(slices.Compact(others), ", "))
	case setting != "":
		return Place{Dir: setting}, nil, nil
	}
	return refuse("name the place with the setting wal of the component, like wal: wal", "%s holds no archive of this cluster to save the log into", o.Copy)
}

// newestPlace is where the archive's newest segment lies.
func (a Archive) newestPlace() Place {
	var newest File
	place := a.Places[0]
	for _, f := range slices.Backward(a.Files) { // most come in order
		if f.Kind != walfile.Segment || f.compare(newest) <= 0 {
			continue
		}
		if i := slices.IndexFunc(a.Places, func(p Place) bool { return strings.HasPrefix(f.Object().Key, p.key(f.Name())) }); i >= 0 {
			newest, place = f, a.Places[i]
		}
	}
	return place
}

// readTail lists what a pg_wal holds, by the looks of each file's first page.
func readTail(dir string) (*tailDir, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, recovery.Errorf("give the pg_wal of the server's data directory, and let this program read it", "read the log: %w", err).WithExit(recovery.Usage)
	}
	d := &tailDir{dir: dir, segments: map[uint32][]tailFile{}}
	for _, e := range entries {
		name, ok := walfile.Parse(e.Name())
		if !ok {
			continue
		}
		if err := d.add(name, filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
	}
	if len(d.timelines) == 0 {
		return nil, recovery.Errorf("give the pg_wal of the server's data directory", "%s holds no segment of a PostgreSQL log", dir).WithExit(recovery.Usage)
	}
	slices.Sort(d.timelines)
	return d, nil
}
