package recovery

import (
	"encoding/json"
	"fmt"
	"time"
)

// ManifestFormat is the version of manifests that this package reads and writes.
const ManifestFormat = 1

// Manifest is what is known of a backup beside the backup itself. It is a
// convenience and evidence: a backup restores without it.
type Manifest struct {
	Format int `json:"comeback_backup"`
	// ID is the backup's own in its copy, as a survey lists it.
	ID        string        `json:"id"`
	System    string        `json:"system"`
	Component string        `json:"component"`
	Kind      ComponentKind `json:"kind"`
	Engine    string        `json:"engine"`
	// Form is what a survey calls it: "custom archive", "base backup, tar, zstd".
	Form string `json:"form"`
	// Begun and Ended are by the clock of the host that took it; Moment is what
	// its content is of.
	Begun  time.Time `json:"begun"`
	Ended  time.Time `json:"ended"`
	Moment Span      `json:"moment"`
	// Objects are those that this backup has stored, with the digests of their
	// bytes; a snapshot also has parts of earlier ones.
	Objects []StoredObject `json:"objects"`
	// Reused are the keys of what earlier backups have stored and this one needs, too. They
	// are for whoever has just taken it: the backup itself tells them later.
	Reused []string `json:"-"`
	// Host and By are where and by which program it was taken; Runbook is the
	// SHA-256 of the runbook that asked for it.
	Host    string `json:"host"`
	By      string `json:"by"`
	Runbook string `json:"runbook,omitempty"`
	// Source is what was backed up: "directory", "server", "repository" and
	// whatever else tells it from others. Nothing in it is a secret.
	Source map[string]string `json:"source,omitempty"`
	// Fingerprint changes when the source does; it is compared with that of the
	// source later to say that nothing has changed since. Empty where the
	// source has none.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Tools are the versions of the programs that took it.
	Tools map[string]string `json:"tools,omitempty"`
	// Tables are those of the database as the backup's own snapshot sees them;
	// TableDigest says how their digests are made.
	Tables      []TableRecord `json:"tables,omitempty"`
	TableDigest string        `json:"table_digest,omitempty"`
	// Lost are tables that have far fewer rows than before, for as long as they do.
	Lost []LostRows `json:"lost,omitempty"`
	// LastCounted is, of a backup whose own rows could not be counted, what the last one before
	// it had whose were: the next one is compared with that.
	LastCounted *CountedRows `json:"last_counted,omitempty"`
	// Snapshot, of a base backup, is what Tables were read in, SnapshotAt where the
	// log was then, after Start. A moment in the log after it is held against Tables
	// by what the log says of the transactions that the snapshot does not see.
	Snapshot   Snapshot `json:"snapshot,omitzero"`
	SnapshotAt LSN      `json:"snapshot_at,omitempty"`
	// Names is the key of the map of relations' names that was saved with it.
	Names string `json:"names,omitempty"`
	// Start and Stop are where a base backup's log begins, and where it can
	// first be opened.
	Start    LSN    `json:"start,omitempty"`
	Stop     LSN    `json:"stop,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
	// SourceBytes is how large the source was, where that is known.
	SourceBytes int64 `json:"source_bytes,string,omitempty"`
	// Remarks are what a person should know, Exceptions what is not in the backup as it
	// was to be: a file that was written to whenever it was read.
	Remarks    []string `json:"remarks,omitempty"`
	Exceptions []string `json:"exceptions,omitempty"`
}

// ManifestsIn is where manifests lie in a copy, by component.
const ManifestsIn = "comeback/backups/"

// RunbooksIn is where runbooks lie in a copy, by system.
const RunbooksIn = OwnIn + "runbooks/"

// MaxManifest bounds what is read of a manifest: a hundred thousand tables take less.
const MaxManifest = 64 << 20

// StoredObject is an object that a backup has stored.
type StoredObject struct {
	Key    string `json:"key"`
	Size   int64  `json:"size,string"`
	SHA256 string `json:"sha256"`
}

// TableRecord is a table as a snapshot saw it.
type TableRecord struct {
	// Name has the schema unless that is public.
	Name string `json:"name"`
	// OID is the table's in its cluster: a base backup keeps it, a dump does not.
	OID uint32 `json:"oid,omitempty"`
	// Shape is a digest of the names and types of its columns, in order.
	Shape string `json:"shape,omitempty"`
	Rows  int64  `json:"rows,string"`
	// Digest does not depend on the order of the rows.
	Digest string `json:"digest,omitempty"`
}

// LostRows is a table that has far fewer rows than it had.
type LostRows struct {
	Table string `json:"table"`
	// Had is how many rows it had in the last backup before Since in which they were counted,
	// HadAt when that was begun, zero where an older version has not said it. Has is how many it
	// has now, or had when they were counted last. Since is the ID of the first that has fewer,
	// At when that was begun.
	Had   int64     `json:"had,string"`
	HadAt time.Time `json:"had_at,omitzero"`
	Has   int64     `json:"has,string"`
	Since string    `json:"since"`
	At    time.Time `json:"at"`
}

// CountedRows are the tables of a backup, and when that was begun.
type CountedRows struct {
	At     time.Time     `json:"at"`
	Tables []TableRecord `json:"tables"`
}

// Counted is what is known of the rows of its tables: those of the backup itself or, where
// they could not be counted, of the last one before it.
func (m Manifest) Counted() CountedRows {
	if m.Tables == nil && m.LastCounted != nil {
		return *m.LastCounted
	}
	return CountedRows{m.Begun, m.Tables}
}

// Took is how long the backup took.
func (m Manifest) Took() time.Duration { return m.Ended.Sub(m.Begun) }

// Size is the number of bytes that it has stored.
func (m Manifest) Size() int64 {
	var n int64
	for _, o := range m.Objects {
		n += o.Size
	}
	return n
}

// Encode writes the manifest for people and programs.
func (m Manifest) Encode() ([]byte, error) {
	m.Format = ManifestFormat
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the manifest of %s: %w", m.ID, err)
	}
	return append(b, '\n'), nil
}

// DecodeManifest reads what Encode has written. Keys that it does not know are
// of a later version and are passed over.
func DecodeManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("read a backup's manifest: %w", err)
	}
	if m.Format != ManifestFormat || m.ID == "" || m.Component == "" {
		return Manifest{}, fmt.Errorf("read a backup's manifest: it is not one of format %d", ManifestFormat)
	}
	return m, nil
}
