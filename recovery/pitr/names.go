package pitr

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// NamesOptions say whose names to save, and where.
type NamesOptions struct {
	Component recovery.Component
	Store     storage.Store
	// Conn is a session of the live server, which is only read.
	Conn *pgx.Conn
	// System is the server's system identifier, for where the role may not ask
	// for it.
	System string
	// Every is how old the newest map must be before another is saved; zero
	// saves one in any case.
	Every time.Duration
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// SaveNames saves the names of all relations of a live server beside the backups
// in a copy, so that the log can be read when the server is gone, or the table is.
// It is for whoever makes a base backup, and now and then for whoever archives the
// log. The key is empty where the newest map is young enough.
//
// A map is an object of its own, names/SYSTEM/TIMELINE-LSN.json below the place of
// the log. Nothing is replaced.
func SaveNames(ctx context.Context, o NamesOptions) (key string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("save the names of relations: %w", err)
		}
	}()
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	if o.Every > 0 && o.System != "" {
		saved, err := listAllNames(ctx, o.Store, o.Component, o.System)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(saved, func(s savedMap) bool { return now().Sub(s.object.Modified) < o.Every }) {
			return "", nil
		}
	}
	// The position comes first: what is in the map was there then or came later.
	var at string
	var timeline uint32
	err = o.Conn.QueryRow(ctx, `select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text, timeline_id
		from pg_control_checkpoint()`).Scan(&at, &timeline)
	if err != nil {
		return "", err
	}
	lsn, err := recovery.ParseLSN(at)
	if err != nil {
		return "", err
	}
	m, err := scan.ReadNames(ctx, o.Conn)
	if err != nil {
		return "", err
	}
	if m.System == "" {
		m.System = o.System
	}
	if m.System == "" {
		return "", recovery.Errorf("let a role save them that may call pg_control_system()", "the role may not ask for the system identifier")
	}
	var b bytes.Buffer
	if err := scan.EncodeNames(&b, m); err != nil {
		return "", err
	}
	key = fmt.Sprintf("%s%s/%s-%016X.json", namesPrefix(o.Component), m.System, walfile.FormatTimeline(timeline), uint64(lsn))
	_, err = o.Store.Put(ctx, key, &b, storage.PutOptions{IfAbsent: true, Size: int64(b.Len())})
	if errors.Is(err, storage.ErrExist) { // of the same position: nothing happened since
		err = nil
	}
	return key, err
}

// namesPrefix is where maps are saved in a copy: below the place of the log.
func namesPrefix(c recovery.Component) string { return WALPrefix(c) + namesDir }

// listAllNames lists the maps of one cluster, the oldest first; those of a component that
// names no place of its log may lie where earlier versions put them, too.
func listAllNames(ctx context.Context, store storage.Store, c recovery.Component, system string) ([]savedMap, error) {
	all, err := listNames(ctx, store, namesPrefix(c)+system+"/")
	if earlier := prefixOf(c, "wal") + namesDir; err == nil && earlier != namesPrefix(c) {
		var more []savedMap
		more, err = listNames(ctx, store, earlier+system+"/")
		all = append(all, more...)
		slices.SortStableFunc(all, olderMap)
	}
	return all, err
}

// namesDir is where they lie below the place of the log.
const namesDir = "names/"

// savedMap is a map in a copy.
type savedMap struct {
	object   storage.Object
	timeline uint32
	at       recovery.LSN
}

// listNames lists the maps of one cluster, the oldest first.
func listNames(ctx context.Context, store storage.Store, prefix string) ([]savedMap, error) {
	var all []savedMap
	for o, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the names of relations in %s: %w", store.URL(), err)
		}
		if m, ok := parseMapName(path.Base(o.Key)); ok {
			m.object = o
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, olderMap)
	return all, nil
}

func olderMap(a, b savedMap) int { return cmp.Compare(a.at, b.at) }

// parseMapName reads "00000001-000000000A1B2C3D.json".
func parseMapName(name string) (m savedMap, ok bool) {
	base, ok := strings.CutSuffix(name, ".json")
	first, second, found := strings.Cut(base, "-")
	if !ok || !found || len(second) != 16 {
		return savedMap{}, false
	}
	if m.timeline, ok = walfile.ParseTimeline(first); !ok {
		return savedMap{}, false
	}
	n, err := strconv.ParseUint(second, 16, 64)
	m.at = recovery.LSN(n)
	return m, err == nil
}

const (
	// maxMaps is how many maps are read for a stretch of the log.
	maxMaps = 12
	// maxMapSize bounds one: a million relations take less.
	maxMapSize = 256 << 20
)

// savedNames are the names that a copy has, for a stretch of its log.
type savedNames struct {
	store  storage.Store
	line   lineage
	read   storage.ReadOptions
	listed []savedMap
	loaded map[string]*scan.Map
}

// openNames lists the maps of a cluster in a copy.
func openNames(ctx context.Context, o recovery.ScanOptions, l lineage, read storage.ReadOptions) (*savedNames, error) {
	n := &savedNames{store: o.Store, line: l, read: read, loaded: map[string]*scan.Map{}}
	var err error
	n.listed, err = listAllNames(ctx, o.Store, o.Component, l.System)
	return n, err
}

// forStretch are the names that a stretch of the log needs, behind those that are
// known anyway: of the maps that were made within it, of the first after it, and
// of the last before, the newest first. One that cannot be read names nothing.
func (n *savedNames) forStretch(ctx context.Context, known recovery.Names, from, to recovery.LSN) (recovery.Names, error) {
	after := slices.IndexFunc(n.listed, func(m savedMap) bool { return m.at > to })
	if after < 0 {
		after = len(n.listed) - 1
	}
	sources := []recovery.Names{known}
	for i := after; i >= 0 && len(sources) <= maxMaps; i-- {
		m, err := n.load(ctx, n.listed[i])
		if err != nil {
			return nil, err
		}
		if m != nil {
			sources = append(sources, scan.Dated(m))
		}
		if n.listed[i].at <= from {
			break
		}
	}
	return scan.Merge(sources...), nil
}

// load reads a map, once; nil where it is damaged or of another cluster.
func (n *savedNames) load(ctx context.Context, s savedMap) (*scan.Map, error) {
	if m, ok := n.loaded[s.object.Key]; ok {
		return m, nil
	}
	var m *scan.Map
	if s.object.Size <= maxMapSize {
		in := storage.NewReader(ctx, n.store, s.object, n.read)
		defer in.Close()
		var err error
		m, err = scan.DecodeNames(in)
		if err != nil && broken(ctx, err) {
			return nil, fmt.Errorf("read %s: %w", s.object.Key, err)
		}
		if err != nil || m.System != n.line.System {
			m = nil
		}
	}
	n.loaded[s.object.Key] = m
	return m, nil
}
