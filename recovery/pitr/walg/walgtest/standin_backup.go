package walgtest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery/postgres"
)

// sentinel is what makes a backup whole.
type sentinel struct {
	Start        uint64         `json:"LSN"`
	From         string         `json:"DeltaFrom,omitempty"`
	Version      int            `json:"PgVersion"`
	Finish       uint64         `json:"FinishLSN"`
	System       uint64         `json:"SystemIdentifier"`
	Uncompressed int64          `json:"UncompressedSize"`
	Compressed   int64          `json:"CompressedSize"`
	Size         int64          `json:"DataCatalogSize"`
	Spec         map[string]any `json:"Spec"`
}

// metadata is what backup-list tells.
type metadata struct {
	Started      time.Time `json:"start_time"`
	Ended        time.Time `json:"finish_time"`
	Format       string    `json:"date_fmt"`
	Host         string    `json:"hostname"`
	Data         string    `json:"data_dir"`
	Version      int       `json:"pg_version"`
	Start        uint64    `json:"start_lsn"`
	Finish       uint64    `json:"finish_lsn"`
	Permanent    bool      `json:"is_permanent"`
	System       uint64    `json:"system_identifier"`
	Uncompressed int64     `json:"uncompressed_size"`
	Compressed   int64     `json:"compressed_size"`
}

// listed is a backup as backup-list tells it.
type listed struct {
	Name    string    `json:"backup_name"`
	Time    time.Time `json:"time"`
	Segment string    `json:"wal_file_name"`
	Storage string    `json:"storage_name"`
	metadata
}

// fileList are the files of a backup.
type fileList struct {
	Files map[string]fileState `json:"Files"`
}

type fileState struct {
	Skipped     bool      `json:"IsSkipped"`
	Incremented bool      `json:"IsIncremented"`
	Modified    time.Time `json:"MTime"`
}

const (
	sentinelSuffix = "_backup_stop_sentinel.json"
	controlFile    = "/global/pg_control"
)

// leftOut is what no backup holds; of directories their content.
var leftOut = []string{"log", "pg_log", "pg_wal", "pgsql_tmp", "postgresql.auto.conf.tmp", "postmaster.pid", "postmaster.opts",
	"pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_stat_tmp", "pg_snapshots", "pg_subtrans", "standby.signal"}

func (k *keeper) backupPush() (err error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("host=%s user=%s dbname=%s", k.settings["PGHOST"], k.settings["PGUSER"], k.settings["PGDATABASE"]))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	dir := k.args[0]
	m := metadata{Started: time.Now().UTC(), Format: "%Y-%m-%dT%H:%M:%S.%fZ", Data: dir}
	if m.Host, err = os.Hostname(); err != nil {
		return err
	}
	var segment, label, spaces string
	if err := conn.QueryRow(ctx, "select current_setting('server_version_num')::int").Scan(&m.Version); err != nil {
		return err
	}
	start, stop := postgres.FileBackup(m.Version/10000, "wal-g")
	err = conn.QueryRow(ctx, "select s - '0/0'::pg_lsn, pg_walfile_name(s), (select system_identifier from pg_control_system()) from "+start+" s").Scan(&m.Start, &segment, &m.System)
	if err != nil {
		return err
	}
	t := sentinel{Start: m.Start, Version: m.Version, System: m.System}
	name := "base_" + segment
	before := fileList{}
	if last, err := k.lastBackup(); err != nil {
		return err
	} else if last != "" && k.settings["WALG_DELTA_MAX_STEPS"] != "0" {
		t.From, name = last, name+"_D_"+last[len("base_"):len("base_")+24]
		if err := k.getJSON(backupFolder+last+"/files_metadata.json", &before); err != nil {
			return err
		}
	}
	if t.Spec, err = spacesOf(dir); err != nil {
		return err
	}
	p := packer{dir: dir, before: before, list: fileList{map[string]fileState{}}}
	p.tar = tar.NewWriter(&p.body)
	if err := p.walk(dir, ""); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "select lsn - '0/0'::pg_lsn, labelfile, spcmapfile from "+stop).Scan(&m.Finish, &label, &spaces); err != nil {
		return err
	}
	if err := p.tar.Close(); err != nil {
		return err
	}
	var last packer // what the end of the backup tells is a part by itself
	last.tar = tar.NewWriter(&last.body)
	if err := errors.Join(last.add("backup_label", []byte(label), 0o600), last.add("tablespace_map", []byte(spaces), 0o600), last.tar.Close()); err != nil {
		return err
	}
	control := packer{dir: dir, list: p.list}
	control.tar = tar.NewWriter(&control.body)
	if err := control.file(controlFile, dir+controlFile); err != nil {
		return err
	}
	if err := control.tar.Close(); err != nil {
		return err
	}
	delete(p.list.Files, controlFile)
	for part, body := range map[string][]byte{"part_001.tar": p.body.Bytes(), "part_002.tar": last.body.Bytes(), "pg_control.tar": control.body.Bytes()} {
		packed, err := k.pack(body)
		if err != nil {
			return err
		}
		m.Uncompressed, m.Compressed = m.Uncompressed+int64(len(body)), m.Compressed+int64(len(packed))
		if err := k.put(backupFolder+name+"/tar_partitions/"+part+packedSuffix, packed); err != nil {
			return err
		}
	}
	m.Ended, t.Size = time.Now().UTC(), p.size
	t.Finish, t.Uncompressed, t.Compressed = m.Finish, m.Uncompressed, m.Compressed
	return errors.Join(k.putJSON(backupFolder+name+"/files_metadata.json", p.list), k.putJSON(backupFolder+name+"/metadata.json", m),
		k.putJSON(backupFolder+name+sentinelSuffix, t))
}

// spacesOf describes the tablespaces of a data directory.
func spacesOf(dir string) (map[string]any, error) {
	all, err := os.ReadDir(filepath.Join(dir, "pg_tblspc"))
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var oids []string
	spec := map[string]any{"base_prefix": dir}
	for _, e := range all {
		at, err := os.Readlink(filepath.Join(dir, "pg_tblspc", e.Name()))
		if err != nil {
			return nil, err
		}
		oids = append(oids, e.Name())
		spec[e.Name()] = map[string]string{"loc": at, "link": "pg_tblspc/" + e.Name()}
	}
	spec["tablespaces"] = oids
	return spec, nil
}

// packer makes a tar file of a data directory.
type packer struct {
	dir    string
	before fileList
	list   fileList
	size   int64
	body   bytes.Buffer
	tar    *tar.Writer
}

// walk packs what lies in a directory, which is called name in the archive.
func (p *packer) walk(dir, name string) error {
	all, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		path, name := filepath.Join(dir, e.Name()), name+"/"+e.Name()
		info, err := os.Stat(path) // tablespaces are followed
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		out := slices.Contains(leftOut, e.Name())
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if e.Type()&fs.ModeSymlink == 0 {
				if err := p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: int64(info.Mode().Perm())}); err != nil {
					return err
				}
			}
			if !out {
				if err := p.walk(path, name); err != nil {
					return err
				}
			}
		case info.Mode().IsRegular() && !out && name != controlFile:
			if err := p.file(name, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// file packs a file, if it is another than in the backup before.
func (p *packer) file(name, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	p.size += info.Size()
	if old, ok := p.before.Files[name]; ok && old.Modified.Equal(info.ModTime()) {
		p.list.Files[name] = fileState{Skipped: true, Modified: old.Modified}
		return nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	p.list.Files[name] = fileState{Modified: info.ModTime()}
	return p.add(name, body, int64(info.Mode().Perm()))
}

func (p *packer) add(name string, body []byte, mode int64) error {
	if err := p.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(body))}); err != nil {
		return err
	}
	_, err := p.tar.Write(body)
	return err
}

// backups are the names of the whole backups, in the order of the log.
func (k *keeper) backups() ([]string, error) {
	all, err := k.list(backupFolder)
	if err != nil {
		return nil, says("Get backups from folder: %w", err)
	}
	var names []string
	for _, e := range all {
		if name, ok := strings.CutSuffix(e.Name(), sentinelSuffix); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (k *keeper) lastBackup() (string, error) {
	names, err := k.backups()
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[len(names)-1], nil
}

func (k *keeper) backupList() error {
	names, err := k.backups()
	if err != nil {
		return err
	}
	all := []listed{}
	for _, name := range names {
		l := listed{Name: name, Segment: name[len("base_") : len("base_")+24], Storage: "default"}
		if err := k.getJSON(backupFolder+name+"/metadata.json", &l.metadata); err != nil {
			return err
		}
		info, err := os.Stat(k.path(backupFolder + name + sentinelSuffix))
		if err != nil {
			return err
		}
		l.Time = info.ModTime()
		all = append(all, l)
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func (k *keeper) backupFetch() error {
	if len(k.args) != 2 {
		return errors.New("accepts between 1 and 2 arg(s)")
	}
	dir, name := k.args[0], k.args[1]
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		return errors.Join(err, says("Failed to fetch backup: Directory %v for delta base must be empty", dir))
	}
	var t sentinel
	var list fileList
	if err := errors.Join(k.getJSON(backupFolder+name+sentinelSuffix, &t), k.getJSON(backupFolder+name+"/files_metadata.json", &list)); err != nil {
		return says("Failed to fetch backup: %w", err)
	}
	spec := t.Spec
	if path := k.flags["restore-spec"]; path != "" {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &spec)
		}
		if err != nil {
			return says("Invalid restore specification path %s: %w", path, err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "pg_tblspc"), 0o700); err != nil {
		return err
	}
	for oid, where := range spec {
		if at, ok := where.(map[string]any); ok {
			if err := os.Symlink(fmt.Sprint(at["loc"]), filepath.Join(dir, "pg_tblspc", oid)); err != nil {
				return err
			}
		}
	}
	if err := k.extract(dir, name, slices.Collect(maps.Keys(list.Files))); err != nil {
		return says("Failed to fetch backup: %w", err)
	}
	fmt.Fprintf(os.Stderr, "INFO: %s Backup extraction complete.\n", time.Now().Format("2006/01/02 15:04:05.000000"))
	return nil
}

// extract writes the files of a backup that are wanted, those that it has skipped from the
// backup that it builds on.
func (k *keeper) extract(dir, name string, wanted []string) error {
	var t sentinel
	var list fileList
	if err := errors.Join(k.getJSON(backupFolder+name+sentinelSuffix, &t), k.getJSON(backupFolder+name+"/files_metadata.json", &list)); err != nil {
		return err
	}
	want := map[string]bool{"backup_label": true, controlFile: true}
	var earlier []string
	for _, file := range wanted {
		if list.Files[file].Skipped {
			earlier = append(earlier, file)
		} else {
			want[file] = true
		}
	}
	if t.From != "" {
		if err := k.extract(dir, t.From, earlier); err != nil {
			return err
		}
	}
	for _, part := range []string{"part_001.tar", "part_002.tar", "pg_control.tar"} {
		path := backupFolder + name + "/tar_partitions/" + part + packedSuffix
		body, err := os.ReadFile(k.path(path))
		if err == nil {
			body, err = k.unpack(body)
		}
		if err == nil {
			err = unpackInto(dir, body, want)
		}
		if err != nil {
			return says("Extraction error in %s: %w", path, err)
		}
		fmt.Fprintf(os.Stderr, "INFO: %s Finished extraction of %s\n", time.Now().Format("2006/01/02 15:04:05.000000"), part+packedSuffix)
	}
	return nil
}

func unpackInto(dir string, body []byte, want map[string]bool) error {
	in := tar.NewReader(bytes.NewReader(body))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, h.Name)
		switch {
		case h.Typeflag == tar.TypeDir:
			err = errors.Join(os.MkdirAll(path, 0o750), os.Chmod(path, fs.FileMode(h.Mode)))
		case want[h.Name]:
			var b []byte
			if b, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(path, b, fs.FileMode(h.Mode))
			}
		}
		if err != nil {
			return err
		}
	}
}
