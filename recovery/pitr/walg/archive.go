package walg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// timeline is one as `wal-show --detailed-json` tells it: what lies in the storage from its
// first segment to its last, but for the missing ones.
type timeline struct {
	ID      uint32   `json:"id"`
	Parent  uint32   `json:"parent_id"` // 0 where its history is not there
	First   string   `json:"start_segment"`
	Last    string   `json:"end_segment"`
	Range   uint64   `json:"segment_range_size"`
	Missing []string `json:"missing_segments"`
}

// maxSegments bounds what one timeline may list: 160 TB of log in segments of 16 MB.
const maxSegments = 10_000_000

// log lists the archived log, in the order of its names. That is a listing of the whole
// folder, so that only recall asks for it.
func (r *repository) log(ctx context.Context) ([]pitr.File, []recovery.Finding, error) {
	if there, err := r.has(ctx, logFolder); !there || err != nil {
		return nil, nil, err
	}
	out, err := r.ask(ctx, "wal-show", "--detailed-json", "--without-backups")
	if err != nil {
		return nil, nil, fmt.Errorf("list the log that WAL-G keeps: %w", err)
	}
	return r.parseLog(out)
}

// parseLog reads what wal-show prints.
func (r *repository) parseLog(text []byte) (files []pitr.File, findings []recovery.Finding, err error) {
	var all []timeline
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil, recovery.Errorf("use a version of WAL-G from 2.0 on", "read what WAL-G says of the log: %w", err)
	}
	slices.SortFunc(all, func(a, b timeline) int { return cmp.Compare(a.ID, b.ID) })
	for _, t := range all {
		names, err := t.names()
		if err != nil {
			findings = append(findings, recovery.Finding{Object: fmt.Sprintf("%s%stimeline %d", r.Prefix, logFolder, t.ID), Says: "what WAL-G says of it cannot be used: " + err.Error(),
				Do: "look with: wal-g wal-show; where segments are not of 16 MB, set WALG_PG_WAL_SIZE in its configuration"})
			continue
		}
		if t.Parent != 0 {
			files = append(files, r.file(pitr.File{Kind: walfile.History, Timeline: t.ID})) // its name comes before those of segments
		}
		for _, f := range names {
			files = append(files, r.file(f))
		}
	}
	return files, findings, nil
}

// file is an archived file as far as it is known: how it is packed and how large it is
// WAL-G does not tell.
func (r *repository) file(f pitr.File) pitr.File {
	f.Hold(storage.Object{Key: r.Prefix + logFolder + f.Name()})
	f.Unsized = true
	return f
}

// names are the segments of a timeline. How many share the middle part of their name
// follows from the first, the last, and how many there are from the one to the other.
func (t timeline) names() ([]pitr.File, error) {
	first, ok := pitr.ParseFileName(t.First)
	last, okLast := pitr.ParseFileName(t.Last)
	switch {
	case !ok || !okLast || first.Kind != walfile.Segment || last.Kind != walfile.Segment || first.Timeline != t.ID || last.Timeline != t.ID:
		return nil, fmt.Errorf("it goes from %q to %q", t.First, t.Last)
	case t.Range == 0 || t.Range > maxSegments || last.Log < first.Log:
		return nil, fmt.Errorf("from %s to %s there are %d segments", t.First, t.Last, t.Range)
	}
	perLog := int64(1) << 32
	if logs := int64(last.Log - first.Log); logs > 0 {
		perLog = (int64(t.Range) - 1 - int64(last.Low) + int64(first.Low)) / logs
		if perLog <= 0 || !xlog.ValidSegmentSize((1<<32)/perLog) {
			return nil, fmt.Errorf("from %s to %s there are %d segments", t.First, t.Last, t.Range)
		}
	}
	if got := int64(last.Log-first.Log)*perLog + int64(last.Low) - int64(first.Low) + 1; got != int64(t.Range) || perLog <= int64(max(first.Low, last.Low)) {
		return nil, fmt.Errorf("from %s to %s there are %d segments", t.First, t.Last, t.Range)
	}
	missing := map[string]bool{}
	for _, name := range t.Missing {
		missing[name] = true
	}
	var all []pitr.File
	f := first
	for range t.Range {
		if !missing[f.Name()] {
			all = append(all, f)
		}
		if f.Low++; int64(f.Low) == perLog {
			f.Log, f.Low = f.Log+1, 0
		}
	}
	return all, nil
}

// recall is the archived log as it was listed last. It is listed where it never was, or
// anew, and only then with findings.
func (r *repository) recall(ctx context.Context, anew bool) ([]pitr.File, []recovery.Finding, error) {
	r.listing.Lock()
	defer r.listing.Unlock()
	if r.known && !anew {
		return r.listed, nil, nil
	}
	files, findings, err := r.log(ctx)
	if err == nil {
		r.listed, r.known = files, true
	}
	return files, findings, err
}

// named are those of a listing whose names begin with prefix.
func named(files []pitr.File, prefix string) []pitr.File {
	from, _ := slices.BinarySearchFunc(files, prefix, func(f pitr.File, prefix string) int { return strings.Compare(f.Name(), prefix) })
	n := 0
	for from+n < len(files) && strings.HasPrefix(files[from+n].Name(), prefix) {
		n++
	}
	return slices.Clone(files[from : from+n])
}

// Files asks for one name anew: it may have come meanwhile. Of several names it is told
// what the log was listed to be.
func (r *repository) Files(ctx context.Context, prefix string) ([]pitr.File, error) {
	if f, ok := pitr.ParseFileName(prefix); ok {
		in, err := r.fetch(ctx, prefix)
		if errors.Is(err, errMissing) {
			return nil, r.stands(ctx)
		}
		if err != nil {
			return nil, err
		}
		return []pitr.File{r.file(f)}, in.Close()
	}
	files, _, err := r.recall(ctx, false)
	if err != nil {
		return nil, err
	}
	return named(files, prefix), nil
}

// Absent asks for the file anew, and then whether the storage is there. What was listed
// before is only asked whether it has the name: WAL-G does not find a file that it cannot
// unpack, but lists it.
func (r *repository) Absent(ctx context.Context, name string) (bool, error) {
	in, err := r.fetch(ctx, name)
	if err == nil {
		return false, in.Close()
	}
	if !errors.Is(err, errMissing) {
		return false, err
	}
	if err := r.stands(ctx); err != nil {
		return false, err
	}
	files, _, err := r.recall(ctx, false)
	return err == nil && len(named(files, name)) == 0, err
}

// stands is an error where WAL-G does not see its storage: of one that is gone it says that
// it does not have a file, too. It shows its backups, which are few, or else any log.
func (r *repository) stands(ctx context.Context) error {
	backups, err := r.list(ctx)
	if err != nil || len(backups) > 0 {
		return err
	}
	files, _, err := r.recall(ctx, true)
	if err != nil || len(files) > 0 {
		return err
	}
	return recovery.Errorf("look whether the storage is mounted and reached, then retry", "%w: WAL-G does not show any backup or log any more", storage.ErrUnavailable)
}

// Open has WAL-G fetch a file, decrypted and unpacked.
func (r *repository) Open(ctx context.Context, f pitr.File) (io.ReadCloser, error) {
	in, err := r.fetch(ctx, f.Name())
	if !errors.Is(err, errMissing) {
		if err != nil {
			return nil, err
		}
		return in, nil
	}
	if packing := r.packing(ctx, f.Name()); packing != "" {
		return nil, recovery.Errorf("install a WAL-G that was built with "+packing, "%w: %s is in the storage, compressed with %s, and the WAL-G here cannot unpack that", storage.ErrConfig, f.Name(), packing)
	}
	if err := r.stands(ctx); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w: WAL-G has listed it and does not find it", f.Name(), storage.ErrNotExist)
}

// builtIn are the packings that WAL-G can be built without.
var builtIn = map[string]string{".br": "brotli", ".lzo": "lzo"}

// packing is how a file is compressed that WAL-G lists and does not find, as far as the copy
// shows it; "" where nothing is known.
func (r *repository) packing(ctx context.Context, name string) string {
	if !r.Beside {
		return ""
	}
	for o, err := range r.access.Store.List(ctx, r.Prefix+logFolder+name+".") {
		if err != nil {
			return ""
		}
		if p := builtIn[path.Ext(o.Key)]; p != "" {
			return p
		}
	}
	return ""
}

// exitMissing is what wal-fetch ends with where there is no such file; every failure ends
// with 1.
const exitMissing = 74

// errMissing: WAL-G has answered that there is no such file.
var errMissing = fmt.Errorf("WAL-G does not have it: %w", storage.ErrNotExist)

// fetch has WAL-G fetch a file of the archive into a directory that is gone when it is
// open. Nothing is fetched ahead, and if it were, it would go there, too.
func (r *repository) fetch(ctx context.Context, name string) (_ *os.File, err error) {
	if _, ok := walfile.Parse(name); !ok {
		return nil, fmt.Errorf("fetch %q: %w", name, errMissing) // no file of an archive is called so
	}
	dir, err := os.MkdirTemp(r.access.Temp, "comeback-wal-g-")
	if err != nil {
		return nil, recovery.Errorf("set TMPDIR to a directory with some room", "fetch %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	user, err := r.program.Who()
	if err == nil && user.UID >= 0 {
		err = os.Lchown(dir, user.UID, user.GID)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	to := filepath.Join(dir, name)
	err = r.program.Run(ctx, r.access.Env, r.call([]string{"WALG_LOG_LEVEL=ERROR", "WALG_DOWNLOAD_CONCURRENCY=1", "WALG_PREFETCH_DIR=" + dir}, "wal-fetch", name, to))
	var failed *tool.Failure
	if errors.As(err, &failed) && failed.Code == exitMissing {
		return nil, fmt.Errorf("fetch %s: %w", name, errMissing)
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, r.settled(ctx, name, explained(err)))
	}
	in, err := os.OpenFile(to, os.O_RDONLY|syscall.O_NOFOLLOW, 0) // the directory is another user's
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	return in, nil
}
