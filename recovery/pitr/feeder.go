package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// feeder gives a recovering server its log. It holds the store and the
// credentials, fetches a bounded number of segments ahead, and judges each
// before the server sees it. The first failure is kept: the step ends with it,
// in its words.
type feeder struct {
	repo  Repository
	args  replayArgs
	line  lineage
	files map[uint64]File // the log that the point needs, by segment
	data  string          // the data directory
	dir   string          // where segments wait; it lies where only this user makes names
	ready *shelf          // from where the server takes them by itself
	owner recovery.User
	log   func(string)

	ctx  context.Context // ends with the feeder
	end  context.CancelFunc
	work sync.WaitGroup
	gate chan struct{}
	most uint64 // how many segments wait for the server, about

	mu     sync.Mutex
	tasks  map[uint64]*task
	before looked // what the segment given last showed
	given  uint64 // its number, plus one
	taken  uint64 // that of the last one which the server has, plus one
	waits  int    // how many segments the server waited for, not counting the first
	waited time.Duration
	err    error
	failed chan struct{}
}

// task is a segment on its way.
type task struct {
	done   chan struct{}
	path   string
	asked  bool // the server waits for it
	late   bool // and it was not there then
	looked looked
	err    error
}

// arrived reports whether it is there, or is known not to come.
func (t *task) arrived() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

const (
	// aheadBytes is about how much log waits for the server.
	aheadBytes = 128 << 20
	// maxFetches is how many segments are fetched at a time.
	maxFetches = 4
)

// newFeeder lists the log that the point needs. dir is emptied, and so is the
// shelf beside it.
func newFeeder(ctx context.Context, repo Repository, args replayArgs, data, dir string, owner recovery.User, log func(string)) (*feeder, error) {
	f := &feeder{repo: repo, args: args, line: args.Facts.Line, files: map[uint64]File{}, data: data, dir: dir, owner: owner, log: log,
		gate: make(chan struct{}, maxFetches), most: uint64(max(1, min(16, aheadBytes/args.Facts.Line.SegmentSize))), tasks: map[uint64]*task{}, failed: make(chan struct{})}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty the directory for the log: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for the log: %w", err)
	}
	if len(args.Facts.Layout.Places) > 0 {
		first := walfile.Number(args.Facts.Base.Start, f.line.SegmentSize)
		log, err := listLog(ctx, repo, args.Facts.Branch, f.line, first, args.Facts.Needs)
		if err != nil {
			return nil, err
		}
		for _, file := range log.files {
			f.files[file.Seg(f.line.SegmentSize)] = file
		}
	}
	shelf, err := newShelf(filepath.Join(filepath.Dir(dir), shelfDir), owner)
	if err != nil {
		return nil, err
	}
	f.ready = shelf
	f.ctx, f.end = context.WithCancel(ctx)
	f.work.Go(f.refill)
	return f, nil
}

// close ends everything under way and removes what waits.
func (f *feeder) close() error {
	f.end()
	err := f.ready.close()
	f.work.Wait()
	if err = errors.Join(err, f.ready.remove(), os.RemoveAll(f.dir)); err != nil {
		return fmt.Errorf("remove the directory for the log: %w", err)
	}
	return nil
}

// fail keeps the first failure and gives the code for it.
func (f *feeder) fail(err error) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && f.ctx.Err() == nil {
		f.err = err
		f.log("comeback: " + err.Error())
		close(f.failed)
	}
	return walfetch.Failed
}

// failure is the first failure, or nil.
func (f *feeder) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// position is about how far the server has come: where the segment begins that
// it has taken last.
func (f *feeder) position() recovery.LSN {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken == 0 {
		return 0
	}
	return walfile.Start(f.taken-1, f.line.SegmentSize)
}

// fetch answers one request of the server.
func (f *feeder) fetch(name, path string) int {
	target, err := f.target(path)
	if err != nil {
		return f.fail(err)
	}
	asked, ok := walfile.Parse(name)
	switch {
	case ok && asked.Kind == walfile.Segment:
		return f.segment(called(asked), target)
	case ok && asked.Kind == walfile.History:
		return f.history(called(asked), target)
	}
	return walfetch.Absent // no server of PostgreSQL asks for it
}

// target is how the server wants a file to be called: directly in its pg_wal.
func (f *feeder) target(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.data, path)
	}
	dir, name := filepath.Split(filepath.Clean(path))
	if filepath.Clean(dir) != filepath.Join(f.data, "pg_wal") {
		return "", fmt.Errorf("the server asked for a file at %s, which is not in its pg_wal", path)
	}
	return name, nil
}

// segment gives a segment.
func (f *feeder) segment(asked File, target string) int {
	size := f.line.SegmentSize
	seg := asked.Seg(size)
	needed := walfile.Start(seg, size) < f.args.Facts.Needs && asked.Timeline == f.args.Facts.Branch.on(seg, size)
	known, ok := f.files[seg]
	if !ok || known.Timeline != asked.Timeline {
		return f.unlisted(asked, needed, target)
	}
	if why := fault(known, size); why != "" {
		switch {
		case f.own(asked) || !needed:
			return walfetch.Absent
		default:
			return f.fail(gapError(recovery.Gap{From: walfile.Start(seg, size), To: walfile.Start(seg+1, size), Object: known.Object().Key, Why: why}))
		}
	}
	if path, ok, err := f.unshelve(seg); err != nil {
		return f.fail(err)
	} else if ok {
		return f.put(path, target) // it is the server's already
	}
	f.mu.Lock()
	t := f.start(seg, known)
	t.asked, t.late = true, !t.arrived()
	f.mu.Unlock()
	f.ahead(seg)
	if !f.await(t) {
		return walfetch.Failed
	}
	f.mu.Lock()
	delete(f.tasks, seg)
	f.mu.Unlock()
	if t.err != nil {
		ofNoUse := errors.Is(t.err, storage.ErrCorrupt) || errors.Is(t.err, errForeign)
		if ofNoUse && (f.own(asked) || !needed) {
			f.log(fmt.Sprintf("comeback: %v; it is not needed", t.err))
			return walfetch.Absent
		}
		return f.fail(fetchHint(t.err))
	}
	if err := f.harmless(seg, t.looked); err != nil {
		return f.fail(err)
	}
	if code := f.give(t.path, target); code != walfetch.Fetched {
		return code
	}
	f.offer()
	return walfetch.Fetched
}

// await waits until a segment is there; false, where the feeder ended first.
func (f *feeder) await(t *task) bool {
	began := time.Now()
	select {
	case <-t.done:
	case <-f.ctx.Done():
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.late && f.given != 0 { // nothing could be fetched ahead of the first
		f.waits, f.waited = f.waits+1, f.waited+time.Since(began)
	}
	return true
}

// waitedSays tells how long the server waited for the log after its first segment.
func (f *feeder) waitedSays() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("%.1f s, for %d of %d segments after the first", f.waited.Seconds(), f.waits, max(0, len(f.files)-1))
}

// give makes a file the server's, and puts it where it wants it.
func (f *feeder) give(from, target string) int {
	if err := ownFile(from, f.owner); err != nil {
		return f.fail(err)
	}
	return f.put(from, target)
}

// put puts a file into the server's pg_wal, and nowhere else: its programs may have made a
// link of that directory.
func (f *feeder) put(from, target string) int {
	wal, err := openWithin(f.data, "pg_wal")
	if err != nil {
		return f.fail(recovery.Errorf("find out what the restored database runs, and stop the run",
			"put a segment in place: the restored server has no directory pg_wal any more: %w", err))
	}
	err = unix.Renameat(unix.AT_FDCWD, from, int(wal.Fd()), target)
	if err = errors.Join(err, wal.Close()); err != nil {
		return f.fail(fmt.Errorf("put a segment in place: %w", err))
	}
	return walfetch.Fetched
}

// openWithin opens a directory in another one; neither may be a link.
func openWithin(dir, name string) (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	outer, err := unix.Open(dir, flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(outer)
	path := filepath.Join(dir, name)
	inner, err := unix.Openat(outer, name, flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(inner), path), nil
}

// unlisted answers for a segment that was not there when the step began: it
// may lie in the server's own pg_wal, have come since, or be missing.
func (f *feeder) unlisted(asked File, needed bool, target string) int {
	if f.own(asked) {
		return walfetch.Absent // in the archive; the server takes its own
	}
	files, err := f.repo.Files(f.ctx, asked.Name())
	if err != nil {
		return f.fail(fetchHint(err))
	}
	for _, file := range files {
		if file.Kind == walfile.Segment && fault(file, f.line.SegmentSize) == "" {
			path := filepath.Join(f.dir, "late."+asked.Name())
			if err := fetchSegment(f.ctx, f.repo, file, f.line, path); err != nil {
				return f.fail(fetchHint(err))
			}
			seen, err := f.look(path, asked.Seg(f.line.SegmentSize))
			if err == nil {
				err = f.harmless(asked.Seg(f.line.SegmentSize), seen)
			}
			if err != nil {
				return f.fail(err)
			}
			return f.give(path, target)
		}
	}
	if needed {
		seg := asked.Seg(f.line.SegmentSize)
		return f.fail(gapError(recovery.Gap{From: walfile.Start(seg, f.line.SegmentSize), To: walfile.Start(seg+1, f.line.SegmentSize), Object: asked.Name(), Why: "missing"}))
	}
	return f.absent(asked.Name())
}

// absent answers for a file that the point does not need.
func (f *feeder) absent(name string) int {
	proven, err := f.repo.Absent(f.ctx, name)
	if err != nil {
		return f.fail(fetchHint(err))
	}
	if !proven {
		return f.fail(recovery.Errorf("retry", "%s is listed in the archive and cannot be read", name))
	}
	return walfetch.Absent
}

// own reports whether a segment came with the base backup, whole: its first
// page is what its name says. A file of the right name may be an old one that
// the server keeps for later.
func (f *feeder) own(asked File) bool {
	l := f.line
	if walfile.Start(asked.Seg(l.SegmentSize), l.SegmentSize) >= f.args.Facts.Base.Stop {
		return false
	}
	in, err := os.OpenFile(filepath.Join(f.data, "pg_wal", asked.Name()), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer in.Close()
	h, err := headerOf(in)
	info, errStat := in.Stat()
	return err == nil && errStat == nil && info.Size() == l.SegmentSize && h.System == l.System && h.Address == walfile.Start(asked.Seg(l.SegmentSize), l.SegmentSize)
}

// history gives the history of a timeline.
func (f *feeder) history(asked File, target string) int {
	name := asked.Name()
	needed := slices.ContainsFunc(f.args.Facts.Branch, func(s stretch) bool { return s.Timeline == asked.Timeline })
	files, err := f.repo.Files(f.ctx, name)
	if err != nil {
		return f.fail(fetchHint(err))
	}
	for _, file := range files {
		if file.Name() != name || file.empty() {
			continue
		}
		path := filepath.Join(f.dir, name)
		if err := fetchHistory(f.ctx, f.repo, file, needed, path); err != nil {
			return f.fail(fetchHint(err))
		}
		return f.give(path, target)
	}
	return f.absent(name)
}

// start begins to fetch a segment, or finds it under way. mu is held.
func (f *feeder) start(seg uint64, file File) *task {
	if t, ok := f.tasks[seg]; ok {
		return t
	}
	t := &task{done: make(chan struct{}), path: filepath.Join(f.dir, file.Name())}
	f.tasks[seg] = t
	f.work.Go(func() {
		defer f.offer()
		defer close(t.done)
		select {
		case f.gate <- struct{}{}:
			defer func() { <-f.gate }()
		case <-f.ctx.Done():
			t.err = f.ctx.Err()
			return
		}
		if t.err = fetchSegment(f.ctx, f.repo, file, f.line, t.path); t.err == nil {
			t.looked, t.err = f.look(t.path, seg)
		}
	})
	return t
}

// ahead begins to fetch the segments that the server will want next.
func (f *feeder) ahead(seg uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := f.line.SegmentSize
	for next := seg + 1; next <= seg+f.most; next++ {
		file, ok := f.files[next]
		if !ok || walfile.Start(next, size) >= f.args.Facts.Needs || fault(file, size) != "" {
			return
		}
		if !f.ready.holds(next) {
			f.start(next, file)
		}
	}
}

// look looks through a fetched segment.
func (f *feeder) look(path string, seg uint64) (looked, error) {
	in, err := os.Open(path)
	if err != nil {
		return looked{}, err
	}
	defer in.Close()
	return lookThrough(in, walfile.Start(seg, f.line.SegmentSize), f.line.SegmentSize, f.line.PageSize)
}

// harmless refuses a segment that would make the server write outside of
// scratch. What it lets pass counts as given.
func (f *feeder) harmless(seg uint64, seen looked) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.harms(seg, seen); err != nil {
		return err
	}
	f.before, f.given, f.taken = seen, seg+1, seg+1
	return nil
}

// harms says what of a segment, and of the record that reaches into it from the
// one given last, would be written outside of scratch. mu is held.
func (f *feeder) harms(seg uint64, seen looked) error {
	spaces := seen.spaces
	if f.given == seg { // the one before was given last
		if s, ok := seen.joined(f.before); ok {
			spaces = append(spaces, s)
		}
	}
	for _, s := range spaces {
		if s.Path != "" && s.LSN < f.args.Facts.Needs {
			return recovery.Errorf("choose a base backup that was taken after the tablespace was made, or an earlier moment",
				"the log would make a tablespace outside of scratch: %s", s).WithExit(recovery.Refused)
		}
	}
	return nil
}

// gapError refuses to go on without a segment that the point needs.
func gapError(g recovery.Gap) error {
	return recovery.Errorf("put it back into the archive and retry, or stop and choose a moment before it",
		"the log that the point needs is not there: %s", gapSays(g))
}

// fetchHint gives a failure of the store its next step.
func fetchHint(err error) error {
	if recovery.HintOf(err) != "" {
		return err
	}
	return recovery.Errorf(fetchHintText(err), "feed the log: %w", err)
}

// fetchHintText is the next step after a failure of the store.
func fetchHintText(err error) string {
	hint := "read the step's log, then retry"
	switch {
	case errors.Is(err, storage.ErrUnavailable):
		hint = "check the network and the copy's endpoint, then retry: replay goes on where it was"
	case errors.Is(err, storage.ErrDenied), errors.Is(err, storage.ErrExpired):
		hint = "renew the credentials, then retry: replay goes on where it was"
	case errors.Is(err, storage.ErrArchived):
		hint = recovery.RestoreArchived + ": replay goes on where it was"
	case errors.Is(err, storage.ErrCorrupt):
		hint = "get the segment from another copy or from the server's pg_wal, or stop and choose a moment before it"
	case errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged):
		hint = "find out who changes the archive, then retry"
	case errors.Is(err, fs.ErrPermission):
		hint = "let this program write into scratch, then retry"
	}
	return hint
}
