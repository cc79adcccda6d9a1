package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// native gives the records of a stretch as a dumper does, without its text for
// those that make up nearly all of a log: rows that are written, images of pages
// and plain ends of transactions. The layouts of their main data are those of
// src/include/access/heapam_xlog.h, src/include/access/xact.h and
// src/include/storage/standbydefs.h, from 13 to 18 the same. For what is left it
// asks pg_waldump, one run for each resource manager, from the first record of it
// on that is asked for.
//
// It is in doubt about whatever it does not expect, a place that cannot be read
// among it: then the chunk is the dumper's.
type native struct {
	dumper
	log  xlog.Stretch
	asks map[xlog.Manager]*asked
}

// errDoubt says that the text is to be read instead.
var errDoubt = errors.New("a record is not as it is expected")

// each is as dumper.each. An error is no judgement on the log: whatever is wrong,
// the dumper tells.
func (n native) each(ctx context.Context, visit func(*record) error) error {
	in, err := xlog.NewReader(n.log)
	if err != nil {
		return err
	}
	defer in.Close()
	n.asks = map[xlog.Manager]*asked{}
	defer func() {
		for _, a := range n.asks {
			a.stop()
		}
	}()
	var x xlog.Record
	var r record
	for i := 0; ; i++ {
		if i%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := in.Next(&x); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r = record{xid: x.XID, total: x.Total, lsn: x.LSN, native: true}
		way, err := r.read(&x, n.tools.Major)
		if err != nil {
			return err
		}
		switch way {
		case passedBy:
			continue
		case askedFor:
			if err := n.ask(ctx, &x, &r); err != nil {
				return err
			}
		}
		if err := visit(&r); err != nil {
			return err
		}
	}
}

// asked is a run of pg_waldump that tells the records of one resource manager.
type asked struct {
	next func() (*record, error, bool)
	stop func()
}

// ask fills a record with what pg_waldump says of it.
func (n native) ask(ctx context.Context, x *xlog.Record, r *record) error {
	a := n.asks[x.Manager]
	if a == nil {
		a = &asked{}
		name := managers[x.Manager]
		a.next, a.stop = iter.Pull2(func(yield func(*record, error) bool) {
			err := n.lines(ctx, x.LSN, n.log.To, []string{name}, func(r *record) error {
				if !yield(r, nil) {
					return errDoubt // nobody asks any more
				}
				return nil
			})
			if err != nil && !errors.Is(err, errDoubt) {
				yield(nil, err)
			}
		})
		n.asks[x.Manager] = a
	}
	for {
		told, err, ok := a.next()
		switch {
		case err != nil:
			return err
		case !ok || told.lsn > x.LSN || told.lsn == x.LSN && (told.xid != x.XID || told.total != x.Total):
			return fmt.Errorf("pg_waldump does not tell the record at %s: %w", x.LSN, errDoubt)
		case told.lsn == x.LSN:
			*r = *told
			return nil
		}
	}
}

// managers are the names of the resource managers of which pg_waldump is asked.
var managers = map[xlog.Manager]string{xlog.XLOG: "XLOG", xlog.Transaction: "Transaction", xlog.Storage: "Storage",
	xlog.Database: "Database", xlog.Tablespace: "Tablespace"}

// way is how a record becomes known.
type way byte

const (
	passedBy way = iota // it is of no interest
	readHere
	askedFor
)

// What heap records do, and XLOG's, Standby's and Transaction's.
const (
	heapInsert      = 0x00
	heapDelete      = 0x10
	heapUpdate      = 0x20
	heapHotUpdate   = 0x40
	heapMultiInsert = 0x50
	heapOps         = 0x70 // without the flag of a new page

	xlogShutdown     = 0x00
	xlogRestorePoint = 0x70
	xlogImage        = 0xB0

	standbyLock    = 0x00
	standbyRunning = 0x10

	xactCommit   = 0x00
	xactAbort    = 0x20
	xactOps      = 0x70
	xactAssign   = 0x50
	xactInvalid  = 0x60
	xactHasInfo  = 0x80
	xactDatabase = 1 << 0
	xactSubs     = 1 << 1
	// xactHarmless are the parts of an end that change nothing of what is
	// told, and lie behind those that do: invalidations, the origin, locks
	// and what a standby is asked to do.
	xactHarmless = 1<<3 | 1<<5 | 1<<6 | 1<<29 | 1<<30 | 1<<31
)

// read reads a record, or says that it is to be asked for.
func (r *record) read(x *xlog.Record, major int) (way, error) {
	switch x.Manager {
	case xlog.Heap:
		switch x.Info & heapOps {
		case heapInsert:
			r.op = opInsert
		case heapDelete:
			r.op = opDelete
		case heapUpdate, heapHotUpdate:
			r.op = opUpdate
		default:
			return readHere, nil
		}
		return readHere, r.written(x, major)
	case xlog.Heap2:
		if x.Info&heapOps != heapMultiInsert {
			return readHere, nil
		}
		r.op = opMultiInsert
		return readHere, r.written(x, major)
	case xlog.Transaction:
		return r.ends(x, major)
	case xlog.XLOG:
		switch x.Info {
		case xlogShutdown, xlogRestorePoint:
			return askedFor, nil
		case xlogImage:
			r.op = opImage
			return readHere, r.located(x, major)
		}
		return readHere, nil
	case xlog.Standby:
		return readHere, r.stands(x, major)
	case xlog.Storage, xlog.Database, xlog.Tablespace:
		return askedFor, nil
	}
	return passedBy, nil
}

// located decodes a record and takes the file of its first block.
func (r *record) located(x *xlog.Record, major int) error {
	if err := x.Decode(major); err != nil {
		return err
	}
	b, ok := x.Block(0)
	if !ok {
		return errDoubt
	}
	r.init = r.op == opImage && b.Fork == xlog.InitFork
	if b.Fork == xlog.MainFork || r.init {
		r.file, r.block = file{b.Database, b.Node}, b.Number
	}
	return nil
}

// written reads xl_heap_insert, xl_heap_delete, xl_heap_update and
// xl_heap_multi_insert.
func (r *record) written(x *xlog.Record, major int) error {
	if err := r.located(x, major); err != nil {
		return err
	}
	le, m := binary.LittleEndian, x.Main
	switch {
	case r.op == opInsert && len(m) >= 3:
		r.newOffset = le.Uint16(m)
	case r.op == opMultiInsert && len(m) >= 4:
		r.rows = int64(le.Uint16(m[2:]))
	case r.op == opDelete && len(m) >= 8:
		r.oldBlock, r.oldOffset, r.flags = r.block, le.Uint16(m[4:]), uint32(m[7])
	case r.op == opUpdate && len(m) >= 14:
		r.oldBlock, r.oldOffset, r.newOffset = r.block, le.Uint16(m[4:]), le.Uint16(m[12:])
		if b, ok := x.Block(1); ok {
			r.oldBlock = b.Number
		}
	default:
		return errDoubt
	}
	return nil
}

// stands reads xl_standby_locks, of which the first lock counts, and
// xl_running_xacts.
func (r *record) stands(x *xlog.Record, major int) error {
	if x.Info != standbyLock && x.Info != standbyRunning {
		return nil
	}
	if err := x.Decode(major); err != nil {
		return err
	}
	if len(x.Main) < 16 {
		return errDoubt
	}
	le, m := binary.LittleEndian, x.Main
	if x.Info == standbyRunning {
		r.op, r.next = opRunning, le.Uint32(m[12:])
	} else if holder := le.Uint32(m[4:]); r.xid != 0 && r.xid == holder {
		r.op, r.file = opLock, file{le.Uint32(m[8:]), le.Uint32(m[12:])}
	}
	return nil
}

// ends reads xl_xact_commit and xl_xact_abort, where they say no more than when and
// which savepoints belong to them.
func (r *record) ends(x *xlog.Record, major int) (way, error) {
	r.op = opTransaction
	how := recovery.Committed
	switch x.Info & xactOps {
	case xactCommit:
	case xactAbort:
		how = recovery.Aborted
	case xactAssign, xactInvalid:
		return readHere, nil
	default:
		return askedFor, nil
	}
	if err := x.Decode(major); err != nil {
		return 0, err
	}
	le, m := binary.LittleEndian, x.Main
	if len(m) < 8 || x.XID == 0 {
		return askedFor, nil
	}
	e := end{how: how, xid: x.XID, time: timeOf(int64(le.Uint64(m)))}
	m = m[8:]
	if x.Info&xactHasInfo != 0 {
		if len(m) < 4 {
			return 0, errDoubt
		}
		parts := le.Uint32(m)
		m = m[4:]
		if parts&^(xactDatabase|xactSubs|xactHarmless) != 0 {
			return askedFor, nil
		}
		if parts&xactDatabase != 0 {
			m = m[min(8, len(m)):]
		}
		if parts&xactSubs != 0 {
			if len(m) < 4 || uint64(len(m)-4) < 4*uint64(le.Uint32(m)) {
				return 0, errDoubt
			}
			n := le.Uint32(m)
			for i := range n {
				e.subs = append(e.subs, le.Uint32(m[4+4*i:]))
			}
		}
	}
	r.ended = &e
	return readHere, nil
}

// timeOf is a time as PostgreSQL counts it: microseconds since 2000.
func timeOf(us int64) time.Time {
	const epoch = 946_684_800
	return time.Unix(epoch+us/1e6, us%1e6*1000).UTC()
}
