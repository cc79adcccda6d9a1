package dump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"comeback/recovery/dump/script"
)

// How COPY data go to several sessions: in pieces of whole rows. A table that is
// over within wholeTable is given to one session as a whole; the rows of a larger
// one are dealt out to all sessions, each of which copies what it gets.
var pieceSoft, wholeTable = 256 << 10, 4 << 20

const (
	pieceHard = 1 << 20
	// gathered is how many whole tables may wait in memory, and piecesAhead
	// how many pieces of a larger one.
	gathered    = 16
	piecesAhead = 32
	// truncateFrom is how large a table must be for a TRUNCATE, which keeps its
	// rows out of the log, to cost less than it saves.
	truncateFrom = 256 << 10
)

// piece is some of a table's rows.
type piece struct {
	bytes []byte
	home  *[]byte // goes back to the pool when bytes are of no use any more
	line  int64   // where it begins in the script
	lines int64
	whole bool // a row ends with it
}

var pieces = sync.Pool{New: func() any {
	b := make([]byte, pieceHard)
	return &b
}}

// load is the data of one COPY on their way.
type load struct {
	ctx context.Context
	// turn is held by the lane that takes pieces, for as long as a row goes on.
	turn chan struct{}
	next chan piece
	// stop is closed when a lane has failed: no more pieces are taken.
	stop     chan struct{}
	stopOnce sync.Once
	// broken is why the data end before their end; set before next is closed.
	broken error
}

func newLoad(ctx context.Context) *load {
	return &load{ctx: ctx, turn: make(chan struct{}, 1), next: make(chan piece, piecesAhead), stop: make(chan struct{})}
}

// errStopped: what a lane was copying is not wanted any more.
var errStopped = errors.New("another session has failed")

// readPiece takes the next piece out of a script; io.EOF says that there is none.
func readPiece(r *script.Reader) (piece, error) {
	home := pieces.Get().(*[]byte) // nothing else is in it
	p := piece{line: r.Line(), home: home}
	rows, whole, err := r.Rows((*home)[:0], pieceSoft)
	if err != nil {
		return p, err
	}
	p.bytes, p.whole, p.lines = rows, whole, r.Line()-p.line
	return p, nil
}

// give hands a piece to whichever lane takes it; false says that none will.
func (l *load) give(p piece, failed <-chan struct{}) bool {
	select {
	case l.next <- p:
		return true
	case <-l.stop:
	case <-failed:
	case <-l.ctx.Done():
	}
	return false
}

// end says that no pieces follow, because of an error where there is one.
func (l *load) end(err error) {
	l.broken = err
	close(l.next)
}

func (l *load) fail() { l.stopOnce.Do(func() { close(l.stop) }) }

// lane is one session's share of a load.
type lane struct {
	*load
	rest    []byte
	home    *[]byte
	holding bool
	rows    int64
	// ended is why the lane got no more, where that was not the end.
	ended error
	// starts are the places of the newest pieces; the server is never further
	// behind.
	starts []start
}

type start struct{ row, line int64 }

const maxStarts = 1024

// take gets the next piece; io.EOF says that there is none.
func (l *lane) take() (err error) {
	defer func() {
		if err != io.EOF {
			l.ended = err
		}
	}()
	if !l.holding {
		select {
		case l.turn <- struct{}{}:
		case <-l.stop:
			return errStopped
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
		l.holding = true
	}
	var p piece
	ok := false
	select {
	case <-l.stop:
		l.release()
		return errStopped
	default:
	}
	select {
	case p, ok = <-l.next:
	case <-l.stop:
		l.release()
		return errStopped
	case <-l.ctx.Done():
		l.release()
		return context.Cause(l.ctx)
	}
	if !ok {
		l.release()
		if l.broken != nil {
			return l.broken
		}
		return io.EOF
	}
	if p.whole {
		l.release()
	}
	if len(l.starts) == maxStarts {
		l.starts = slices.Delete(l.starts, 0, maxStarts/2)
	}
	l.starts = append(l.starts, start{l.rows + 1, p.line})
	l.rows += p.lines
	if l.home != nil {
		pieces.Put(l.home)
	}
	l.rest, l.home = p.bytes, p.home
	return nil
}

func (l *lane) release() {
	l.holding = false
	<-l.turn
}

// Read gives the lane's rows.
func (l *lane) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		if err := l.take(); err != nil {
			return 0, err
		}
	}
	n := copy(b, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// lineOf is the script's line of a row of the lane.
func (l *lane) lineOf(row int64) int64 {
	for _, s := range slices.Backward(l.starts) {
		if s.row <= row {
			return s.line + row - s.row
		}
	}
	return 0
}

// inMemory reads a whole table that was gathered.
func inMemory(all []piece) io.Reader {
	var readers []io.Reader
	for _, p := range all {
		readers = append(readers, bytes.NewReader(p.bytes))
	}
	return io.MultiReader(readers...)
}

// copyWhole copies a table that was gathered. A table of some size is emptied
// before, in the same transaction: what goes into it then needs no log.
func (s *session) copyWhole(ctx context.Context, table script.Relation, sql string, all []piece) error {
	size := 0
	for _, p := range all {
		size += len(p.bytes)
	}
	if size < truncateFrom {
		return s.run(ctx, sql, inMemory(all))
	}
	name := quoteName(table.Schema) + "." + quoteName(table.Name)
	err := s.run(ctx, "begin; truncate only "+name, nil)
	if err == nil {
		err = s.run(ctx, sql, inMemory(all))
	}
	if err == nil {
		return s.run(ctx, "commit", nil)
	}
	if s.conn.TxStatus() != 'I' && !s.conn.IsClosed() {
		_ = s.run(ctx, "rollback", nil) // the first failure is the one to tell
	}
	return err
}
