package walg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/written"
	"comeback/storage"
)

// Restore has WAL-G fetch a backup, and those that it builds on, into an empty directory.
// WAL-G goes on with nothing that an earlier attempt has left, so that is removed. The
// control file comes last.
func (r *repository) Restore(ctx context.Context, b pitr.Base, to pitr.Restoring) (pitr.Restored, error) {
	s, err := r.sentinel(ctx, b.ID)
	if err != nil {
		return pitr.Restored{}, err
	}
	// Before the long copy: it would begin anew if the network failed behind it.
	files, err := r.files(ctx, b.ID, s)
	if err != nil {
		return pitr.Restored{}, err
	}
	if err := to.Clear(); err != nil {
		return pitr.Restored{}, err
	}
	spec, err := mapSpaces(s, to)
	if err != nil {
		return pitr.Restored{}, err
	}
	meter := r.access.Env.Meter()
	if to.Resumed {
		meter.Log("comeback: WAL-G cannot go on with what an earlier attempt has left; it begins anew")
	}
	all := b.Unpacked
	if s.Size > 0 {
		// Of a delta backup this is what comes of it, where the list has the sum of its chain.
		all = s.Size
		meter.Phase("copy the base backup", all, recovery.InBytes)
	}
	// Whatever its configuration says of these is meant for other restores: files are on
	// disk when they are written, and only the usual way of unpacking has the control file last.
	set := []string{"WALG_TAR_DISABLE_FSYNC=false", "WALG_USE_REVERSE_UNPACK=false", "WALG_SKIP_REDUNDANT_TARS=false"}
	if r.Concurrency > 0 {
		set = append(set, "WALG_DOWNLOAD_CONCURRENCY="+strconv.Itoa(r.Concurrency))
	}
	call := r.call(set, "backup-fetch", to.Data, b.ID, "--restore-spec="+spec)
	call.Quiet = false
	seen := written.Show(meter, all, to.Data, to.Spaces)
	err = r.program.Run(ctx, r.access.Env, call)
	seen()
	if err != nil {
		return pitr.Restored{}, explained(err)
	}
	total, err := written.Measure(to.Data, to.Spaces)
	if err == nil {
		meter.Set(total.Of(all))
		err = syncAll(to.Data)
	}
	if err != nil {
		return pitr.Restored{}, fmt.Errorf("look at what WAL-G has restored: %w", err)
	}
	done := pitr.Restored{Files: total.Files, Bytes: total.Bytes, Facts: map[string]string{"backup": b.ID}}
	err = prove(files, to, &done)
	return done, err
}

// sentinel is what a backup says of itself.
type sentinel struct {
	// Size is that of the data directory; 0 where an older version has made it.
	Size int64 `json:"DataCatalogSize"`
	// NoFiles says that it was made without a list of its files.
	NoFiles bool `json:"FilesMetadataDisabled"`
	Spec    struct {
		Tablespaces []string `json:"tablespaces"`
	} `json:"Spec"`
}

func (r *repository) sentinel(ctx context.Context, backup string) (s sentinel, err error) {
	text, err := r.ask(ctx, "st", "cat", backupFolder+backup+sentinelSuffix)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read what backup %s says of itself: %w", backup, err)
	}
	return s, nil
}

// mapSpaces writes the file that has every tablespace of a backup restored into a directory
// of scratch, and gives its path. Without one WAL-G restores tablespaces to where they lie
// in the source.
func mapSpaces(s sentinel, to pitr.Restoring) (string, error) {
	spec := map[string]any{"base_prefix": to.Data, "tablespaces": append([]string{}, s.Spec.Tablespaces...)}
	for _, oid := range s.Spec.Tablespaces {
		if _, err := strconv.ParseUint(oid, 10, 32); err != nil {
			return "", fmt.Errorf("the backup has a tablespace with the oid %q", oid)
		}
		dir, err := to.Space(oid)
		if err != nil {
			return "", err
		}
		spec[oid] = map[string]string{"loc": dir, "link": "pg_tblspc/" + oid}
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("map the tablespaces: %w", err)
	}
	path := filepath.Join(to.Own, "restore-spec.json")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // the directory is another user's, and new
	if err == nil {
		if _, err = f.Write(text); err == nil && to.Owner.UID >= 0 {
			err = f.Chown(to.Owner.UID, to.Owner.GID)
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("map the tablespaces: %w", err)
	}
	return path, nil
}

// maxNamed bounds how many files an error or a remark names.
const maxNamed = 3

// listed is a file as the list of a backup's files tells it.
type listed struct {
	// CorruptBlocks are the pages whose checksums were wrong when it was read; only
	// `backup-push --verify` looks for them.
	CorruptBlocks struct{ CorruptBlocksCount int }
}

// files is the backup's list of its files; nil where it has none.
func (r *repository) files(ctx context.Context, backup string, s sentinel) (map[string]listed, error) {
	if s.NoFiles {
		return nil, nil
	}
	var list struct {
		Files map[string]listed `json:"Files"`
	}
	text, err := r.ask(ctx, "st", "cat", backupFolder+backup+filesSuffix)
	if errors.Is(err, storage.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("read which files backup %s has: %w", backup, err)
	}
	return list.Files, nil
}

// prove holds what was restored against the backup's list of its files.
func prove(files map[string]listed, to pitr.Restoring, done *pitr.Restored) error {
	var missing, damaged []string
	pages := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		local := strings.TrimPrefix(name, "/")
		if local == "" || local == "tablespace_map" { // the directory itself; scratch has its own map
			continue
		}
		if !filepath.IsLocal(local) {
			return fmt.Errorf("%w: the backup's list names the file %q", storage.ErrCorrupt, name)
		}
		if n := files[name].CorruptBlocks.CorruptBlocksCount; n > 0 {
			damaged, pages = append(damaged, local), pages+n
		}
		if _, err := os.Lstat(filepath.Join(to.Data, local)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, local)
		} else if err != nil {
			return fmt.Errorf("look at what WAL-G has restored: %w", err)
		}
	}
	if n := len(missing); n > 0 {
		return recovery.Errorf("choose another base backup, and look into this one: it is not whole",
			"%w: %d files that the backup's list names were not restored: %s", storage.ErrCorrupt, n, strings.Join(missing[:min(n, maxNamed)], ", "))
	}
	done.Proof = "WAL-G has unpacked every part of it to its end"
	if n := len(files); n > 0 {
		done.Proof += fmt.Sprintf(", and all %d files of its list are there", n)
		done.Facts["files of the list"] = strconv.Itoa(n)
	} else {
		done.Remarks = append(done.Remarks, "the backup has no list of its files, so it could not be proven that every one of them is there")
	}
	if n := len(damaged); n > 0 {
		in := strings.Join(damaged[:min(n, maxNamed)], ", ")
		if n > maxNamed {
			in += fmt.Sprintf(" and %d more files", n-maxNamed)
		}
		done.Remarks = append(done.Remarks, fmt.Sprintf("WAL-G found %d pages with wrong checksums when it made this backup, in %s: what was damaged then is damaged in it", pages, in))
	}
	done.Remarks = append(done.Remarks, "WAL-G keeps no checksums of the files in a backup, so they could not be compared with what the server read")
	return nil
}

// syncAll returns when the whole file system of a directory is on disk.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
