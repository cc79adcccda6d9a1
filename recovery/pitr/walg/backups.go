package walg

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/storage"
)

// backup is one as `backup-list --detail --json` tells it.
type backup struct {
	Name    string    `json:"backup_name"`
	Segment string    `json:"wal_file_name"`
	Storage string    `json:"storage_name"`
	Started time.Time `json:"start_time"`
	Ended   time.Time `json:"finish_time"`
	Host    string    `json:"hostname"`
	Data    string    `json:"data_dir"`
	Version int       `json:"pg_version"` // 150014
	// Positions are numbers.
	Start  uint64      `json:"start_lsn"`
	Stop   uint64      `json:"finish_lsn"`
	System json.Number `json:"system_identifier"`
	// Of a delta backup the sizes are those of what has changed.
	Unpacked  int64 `json:"uncompressed_size"`
	Packed    int64 `json:"compressed_size"`
	Permanent bool  `json:"is_permanent"`
}

// Suffixes of a backup's own files.
const (
	sentinelSuffix = "_backup_stop_sentinel.json"
	filesSuffix    = "/files_metadata.json"
)

// backupName is the segment in which a backup begins, that of the one which it builds on,
// and maybe an offset.
var backupName = pattern.New(`^base_([0-9A-F]{24})(?:_D_([0-9A-F]{24}))?(?:_[0-9A-F]{8})?$`)

// list asks for the backups.
func (r *repository) list(ctx context.Context) ([]backup, error) {
	if there, err := r.has(ctx, backupFolder); !there || err != nil {
		return nil, err
	}
	out, err := r.ask(ctx, "backup-list", "--detail", "--json")
	if err != nil {
		return nil, fmt.Errorf("list the backups of WAL-G: %w", err)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, r.silent(ctx)
	}
	return parseBackups(out)
}

// silent is an error where WAL-G has said nothing of backups although there may be some.
// Older versions say nothing where there is none, and just so, ending well, where they could
// not list them. `st ls` of them fails then.
func (r *repository) silent(ctx context.Context) error {
	out, err := r.ask(ctx, "st", "ls", backupFolder)
	if err != nil {
		return fmt.Errorf("list the backups of WAL-G: %w", err)
	}
	if bytes.Contains(out, []byte(sentinelSuffix)) {
		return recovery.Errorf("try again; newer versions of WAL-G tell why they cannot list backups", "%w: WAL-G says nothing of the backups that its storage has", pitr.ErrUncertain)
	}
	return nil
}

func parseBackups(text []byte) ([]backup, error) {
	var all []backup
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, recovery.Errorf("use a version of WAL-G from 2.0 on", "read what WAL-G says of its backups: %w", err)
	}
	return all, nil
}

// Contents asks for the backups and for the log.
func (r *repository) Contents(ctx context.Context) (pitr.Contents, error) {
	all, err := r.list(ctx)
	if err != nil {
		return pitr.Contents{}, err
	}
	c := pitr.Contents{Bases: r.bases(all)}
	if err := r.same(ctx, c.Bases); err != nil {
		return pitr.Contents{}, err
	}
	files, findings, err := r.recall(ctx, true)
	if err != nil {
		return pitr.Contents{}, err
	}
	c.Findings = findings
	if len(files) > 0 {
		a, err := r.archive(ctx, files)
		if err != nil {
			return pitr.Contents{}, err
		}
		c.Archives = []pitr.Archive{a}
	}
	if len(all) == 0 && len(files) == 0 {
		c.Findings = append(c.Findings, recovery.Finding{Object: r.Prefix + backupFolder, Says: "WAL-G lists no backup and no log here",
			Do: "correct `config` and `environment` of the component, or make a backup with: wal-g backup-push"})
	}
	return c, nil
}

// archive says whose log it is, by the newest segment, or else the oldest. Where neither can
// be unpacked, that is no damage: without its key, all of an encrypted storage looks so. One
// that could not be fetched for a cause that is not certain hides nothing: the other one
// says the same.
func (r *repository) archive(ctx context.Context, files []pitr.File) (pitr.Archive, error) {
	a := pitr.Archive{Places: r.Layout().Places, Files: slices.Clone(files)} // who judges an archive sorts it
	segments := slices.DeleteFunc(slices.Clone(files), func(f pitr.File) bool { return f.Kind != walfile.Segment })
	if len(segments) == 0 {
		return a, nil
	}
	var damage, uncertain error
	for _, f := range []pitr.File{segments[len(segments)-1], segments[0]} {
		h, err := r.header(ctx, f)
		switch {
		case err == nil:
			a.System, a.Major, a.SegmentSize, a.PageSize = h.System, h.Major, h.SegmentSize, h.PageSize
			return a, nil
		case errors.Is(err, pitr.ErrUncertain):
			uncertain = err
		case errors.Is(err, storage.ErrCorrupt):
			damage = err
		default:
			return a, err
		}
	}
	if uncertain != nil {
		return a, uncertain
	}
	return a, recovery.Errorf("set its key in WAL-G's configuration, or WALG_LIBSODIUM_KEY or WALG_PGP_KEY in the component's `environment`",
		"%w: neither the oldest nor the newest segment can be unpacked, as where a storage is encrypted and its key is not set: %s", storage.ErrConfig, damage)
}

// header reads the first page of a segment.
func (r *repository) header(ctx context.Context, f pitr.File) (xlog.Header, error) {
	in, err := r.Open(ctx, f)
	if err != nil {
		return xlog.Header{}, err
	}
	defer in.Close()
	head := make([]byte, xlog.LongHeaderSize)
	if _, err := io.ReadFull(in, head); err != nil {
		return xlog.Header{}, fmt.Errorf("%w: segment %s ends too early", storage.ErrCorrupt, f.Name())
	}
	h, err := xlog.ParseHeader(head)
	if err != nil {
		return h, fmt.Errorf("%w: segment %s %w", storage.ErrCorrupt, f.Name(), err)
	}
	return h, nil
}

// bases describes the backups.
func (r *repository) bases(all []backup) []pitr.Base {
	var bases []pitr.Base
	for _, b := range all {
		base := pitr.Base{ID: b.Name, Format: Name, Root: r.Prefix + backupFolder + b.Name, Name: b.Name, Form: "full backup of WAL-G",
			Started: b.Started.UTC(), Ended: b.Ended.UTC(), Start: recovery.LSN(b.Start), Stop: recovery.LSN(b.Stop),
			System: b.System.String(), Major: b.Version / 10000, Details: map[string]string{"host": b.Host, "data directory": b.Data}}
		if b.Storage != "" && b.Storage != "default" {
			base.Details["storage"] = b.Storage
		}
		if b.Permanent {
			base.Details["kept"] = "permanently"
		}
		at, ok := pitr.ParseFileName(b.Segment)
		base.Timeline = at.Timeline
		if m := backupName.FindStringSubmatch(b.Name); m != nil && m[2] != "" {
			base.Form, base.Delta = "delta backup of WAL-G", true
		}
		chain, missing := chainOf(all, b)
		var packed int64
		var names []string
		for _, part := range chain {
			packed += part.Packed
			base.Unpacked += part.Unpacked
			if part.Name != b.Name {
				names = append(names, part.Name)
			}
		}
		if len(names) > 0 {
			base.Details["builds on"] = strings.Join(names, ", ")
		}
		base.Objects = []storage.Object{{Key: base.Root, Size: packed, Modified: base.Ended}}
		switch {
		case missing != "":
			base.Problem = fmt.Sprintf("it builds on a backup that began in %s, which WAL-G does not list any more", missing)
		case b.Stop == 0:
			base.Problem = "WAL-G's list does not say where in the log it ends: it was made by an old version, or never ended"
		case !ok || at.Kind != walfile.Segment:
			base.Problem = fmt.Sprintf("WAL-G's list does not say which log it needs, but %q", b.Segment)
		}
		bases = append(bases, base)
	}
	slices.SortStableFunc(bases, func(a, b pitr.Base) int { return cmp.Compare(a.Start, b.Start) })
	return bases
}

// chainOf are the backups that it takes to restore one, itself first. Missing is the
// segment in which one began that is not listed; "" where all are.
func chainOf(all []backup, b backup) (chain []backup, missing string) {
	for range all {
		chain = append(chain, b)
		m := backupName.FindStringSubmatch(b.Name)
		if m == nil || m[2] == "" {
			return chain, ""
		}
		i := slices.IndexFunc(all, func(other backup) bool {
			at := backupName.FindStringSubmatch(other.Name)
			return at != nil && at[1] == m[2]
		})
		if i < 0 {
			return chain, m[2]
		}
		b = all[i]
	}
	return chain, b.Segment // in a circle
}

// same looks whether the copy, where it can be read here, is the storage that WAL-G has
// listed: else the one would be taken for a proof of the other.
func (r *repository) same(ctx context.Context, bases []pitr.Base) error {
	if !r.Beside || len(bases) == 0 {
		return nil
	}
	newest := bases[len(bases)-1]
	_, err := r.access.Store.Stat(ctx, newest.Root+sentinelSuffix)
	if errors.Is(err, storage.ErrNotExist) {
		return recovery.Errorf("correct the copy's url, or `config` and `environment` of the component; or write `repository: COPY` where both are right",
			"backup %s, which WAL-G lists, is not in the copy at %s: it is another storage", newest.ID, r.access.Store.URL()).WithExit(recovery.Usage)
	}
	return err
}
