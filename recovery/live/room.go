package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/room"
	"comeback/recovery/written"
)

// disk is a file system that a load writes to.
type disk struct {
	free, need int64
	places     []string
}

// leastFree is what a dump leaves of each disk of a live server besides what a load needs of
// it, for what the server goes on to write.
const leastFree = 256 << 20

// roomy refuses to load what the live server's disks have no room for: a full disk under
// its data or its log would end it for everybody. What was live says nothing about that,
// because what is missing may be all of it; so what was restored is measured. It counts
// what a checkpoint lets stand of the log, and gives what each disk must have. What cannot
// be seen from here is a remark.
func (l *load) roomy(ctx context.Context) (disks map[uint64]*disk, err error) {
	var size int64
	if err := l.scratch.QueryRow(ctx, "select pg_database_size(current_database())").Scan(&size); err != nil {
		return nil, recovery.Errorf("retry the restore", "ask how large the restored database is: %w", err)
	}
	id, err := Identify(ctx, l.Address)
	if err != nil {
		return nil, err
	}
	if id.Host == "" {
		l.remark(unseen(size))
		return nil, nil
	}
	needs, err := l.needs(ctx, id.Data, size)
	if err != nil {
		return nil, err
	}
	disks = map[uint64]*disk{}
	for _, dir := range slices.Sorted(maps.Keys(needs)) {
		free, device, err := l.roomIn(dir)
		if err != nil {
			l.remark(unseen(size) + ": " + err.Error())
			return nil, nil
		}
		if disks[device] == nil {
			disks[device] = &disk{free: free}
		}
		d := disks[device]
		d.need += needs[dir]
		if dir != id.Data {
			d.places = append(d.places, dir)
		}
	}
	for _, d := range disks {
		if d.free < d.need {
			return nil, d.refused("what was restored needs", d.free)
		}
	}
	return disks, nil
}

func (d *disk) refused(what string, free int64) error {
	return recovery.Errorf("make room on that disk; or write `into: hand-over` and restore into another directory with --scratch, or on another host; or bring only some tables or rows back: comeback rescue RUNBOOK",
		"refused: %s %s in %s and there is %s free: a full disk would end the live server", what, recovery.FormatBytes(d.need), cmp.Or(strings.Join(d.places, " and "), "a disk of the live server"), recovery.FormatBytes(free)).WithExit(recovery.Refused)
}

// remark is told once.
func (l *load) remark(text string) {
	if !slices.Contains(l.result.Remarks, text) {
		l.result.Remarks = append(l.result.Remarks, text)
	}
}

// dumpBeside dumps the restored database, and stops where that would take from a disk of the
// live server what is needed to load it: how far a dump shrinks nobody knows before.
func (l *load) dumpBeside(ctx context.Context, dir string, disks map[uint64]*disk) error {
	_, device, err := l.roomIn(dir)
	d := disks[device]
	if err != nil || d == nil {
		return l.dump(ctx, dir)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var full error
	look := func() {
		if free, _, err := l.roomIn(dir); err == nil && free < d.need+leastFree && full == nil {
			full = d.refused("the dump of what was restored leaves too little room; loading it needs", free)
			stop(full)
		}
	}
	end := written.Watch(look)
	err = l.dump(ctx, dir)
	end()
	if look(); full != nil {
		return errors.Join(full, os.RemoveAll(dir))
	}
	return err
}

func unseen(size int64) string {
	return fmt.Sprintf("whether the live server's disks have room for the %s that come back cannot be seen from here", recovery.FormatBytes(size))
}

// needs are the bytes that a load takes in each directory of the live server.
func (l *load) needs(ctx context.Context, data string, size int64) (map[string]int64, error) {
	var mostLog int64
	var space uint32
	err := l.conn.QueryRow(ctx, "select pg_size_bytes(current_setting('max_wal_size')), dattablespace from pg_database where oid = $1::oid", l.Was).Scan(&mostLog, &space)
	if err != nil {
		return nil, fmt.Errorf("ask the live server where its data are: %w", err)
	}
	log := filepath.Join(data, "pg_wal")
	needs := map[string]int64{data: 0, log: max(0, min(size, mostLog)-sizeOf(log))}
	lacking, err := l.lackingSpaces(ctx)
	if err != nil {
		return nil, err
	}
	if len(lacking) == 0 {
		elsewhere, err := l.spaces(ctx)
		if err != nil {
			return nil, err
		}
		for oid, n := range elsewhere {
			needs[spaceIn(data, oid)] += n
			size -= n
		}
	}
	needs[spaceIn(data, space)] += max(0, size)
	return needs, nil
}

// spaces are, by the OIDs that the live server's tablespaces have, the bytes that what was
// restored has in them, beside the default one of its database.
func (l *load) spaces(ctx context.Context) (map[uint32]int64, error) {
	type used struct {
		Name  string
		Bytes int64
	}
	found, err := l.scratch.Query(ctx, `select spcname::text, sum(pg_relation_size(c.oid))::int8 from pg_class c join pg_tablespace t on t.oid = c.reltablespace
		where spcname <> 'pg_global' and c.relkind in ('r', 'i', 'm', 't') group by 1`)
	var there []used
	if err == nil {
		there, err = pgx.CollectRows(found, pgx.RowToStructByPos[used])
	}
	if err != nil {
		return nil, fmt.Errorf("ask how large the tablespaces of the restored database are: %w", err)
	}
	all := map[uint32]int64{}
	for _, u := range there {
		var oid uint32
		if err := l.conn.QueryRow(ctx, "select oid from pg_tablespace where spcname = $1::name", u.Name).Scan(&oid); err != nil {
			return nil, fmt.Errorf("look for tablespace %s on the live server: %w", u.Name, err)
		}
		all[oid] += u.Bytes
	}
	return all, nil
}

// defaultSpace is the OID of pg_default in every cluster.
const defaultSpace = 1663

// spaceIn is the directory of a tablespace, or the link to it.
func spaceIn(data string, space uint32) string {
	if space == defaultSpace {
		return filepath.Join(data, "base")
	}
	return filepath.Join(data, "pg_tblspc", strconv.FormatUint(uint64(space), 10))
}

// sizeOf is how many bytes lie in the files of a directory, as far as this user can see.
func sizeOf(dir string) (n int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
	}
	return n
}

// roomIn is how many bytes are free where a directory lies, or will lie, and on which
// device that is.
func (l *load) roomIn(dir string) (free int64, device uint64, err error) {
	if l.from.room != nil {
		return l.from.room(dir)
	}
	return room.Free(dir)
}
