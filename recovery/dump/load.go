package dump

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"comeback/recovery/dump/script"
	"comeback/recovery/dump/tuples"
)

// How COPY data go to several sessions: in pieces of whole rows, of which so many wait
// in memory. While they wait, the next tables are read; so several tables are copied at
// once, each by one session behind a TRUNCATE, which needs no log. A table of which so
// much waits that the others have nothing to do is shared by all, where they are enough to
// be faster (leastSharing).
var pieceSoft, heldAtMost = 256 << 10, 512 << 20

const (
	// pieceMore is how much of a row a piece takes beyond the end that was asked for.
	pieceMore = 64 << 10
	// leastPieces are enough for a row of any length to get through.
	leastPieces = 8
	// heldShare is which part of the machine's memory waiting rows may take.
	heldShare = 32
)

// piece is some of a table's rows.
type piece struct {
	bytes []byte
	home  *[]byte // is free again when bytes are of no use any more
	line  int64   // where it begins in the script
	lines int64
	whole bool // a row ends with it
}

// shelf is the memory in which rows wait.
type shelf struct {
	free chan *[]byte
	more int // may be made yet
}

// newShelf has room for a part of a machine's memory, in bytes.
func newShelf(memory int64) *shelf {
	size := max(int(min(memory/heldShare, int64(heldAtMost)))/(pieceSoft+pieceMore), leastPieces)
	return &shelf{free: make(chan *[]byte, size), more: size}
}

// take gives memory for a piece when there is some; it is for one goroutine.
func (s *shelf) take(ctx context.Context, failed <-chan struct{}) (*[]byte, error) {
	select {
	case <-failed: // also while there is memory: nobody wants what is read now
		return nil, errStopped
	default:
	}
	select {
	case home := <-s.free:
		return home, nil
	default:
	}
	if s.more > 0 {
		s.more--
		home := make([]byte, pieceSoft+pieceMore)
		return &home, nil
	}
	select {
	case home := <-s.free:
		return home, nil
	case <-failed:
		return nil, errStopped
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load is the data of one COPY on their way.
type load struct {
	ctx   context.Context
	shelf *shelf
	// turn is held by the lane that takes pieces, for as long as a row goes on.
	turn chan struct{}
	next chan piece // holds as many as there can be
	// begun is closed when the table has been emptied: no other lane takes anything
	// before, or it would be lost.
	begun     chan struct{}
	beginOnce sync.Once
	// shared is closed when one session alone is too slow.
	shared    chan struct{}
	shareOnce sync.Once
	// stop is closed when a lane has failed: no more pieces are taken.
	stop     chan struct{}
	stopOnce sync.Once
	// over is closed when the first lane has ended.
	over chan struct{}
	// broken is why the data end before their end; set before next is closed.
	broken error
}

func newLoad(ctx context.Context, s *shelf) *load {
	return &load{ctx: ctx, shelf: s, turn: make(chan struct{}, 1), next: make(chan piece, cap(s.free)), begun: make(chan struct{}), shared: make(chan struct{}), stop: make(chan struct{}), over: make(chan struct{})}
}

// errStopped: what a lane was copying is not wanted any more.
var errStopped = errors.New("another session has failed")

// readPiece takes the next piece out of a script into memory of the shelf; io.EOF says
// that there is none.
func (s *shelf) readPiece(ctx context.Context, r *script.Reader, failed <-chan struct{}) (piece, error) {
	home, err := s.take(ctx, failed)
	if err != nil {
		return piece{}, err
	}
	p := piece{line: r.Line(), home: home}
	rows, whole, err := r.Rows((*home)[:0], pieceSoft)
	if err != nil {
		s.free <- home
		return p, err
	}
	p.bytes, p.whole, p.lines = rows, whole, r.Line()-p.line
	return p, nil
}

// lags reports whether so many pieces wait that idle sessions should take some, of which
// there are enough.
func (l *load) lags(idle int) bool {
	return idle+1 >= leastSharing && len(l.next) >= cap(l.next)*3/4/idle
}

// begin lets the lanes begin that help.
func (l *load) begin() { l.beginOnce.Do(func() { close(l.begun) }) }

// share lets other lanes take pieces, too.
func (l *load) share() { l.shareOnce.Do(func() { close(l.shared) }) }

// goesOn reports whether the first lane has not ended yet.
func (l *load) goesOn() bool {
	select {
	case <-l.over:
		return false
	default:
		return true
	}
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
	// alone says that it takes all pieces, until they are shared: then it has parted.
	alone, parted bool
	rest          []byte
	home          *[]byte
	holding       bool
	rows          int64
	// ended is why the lane got no more, where that was not the end.
	ended error
	// starts are the places of the newest pieces; the server is never further
	// behind.
	starts []start
}

type start struct{ row, line int64 }

const maxStarts = 1024

// take gets the next piece; io.EOF says that there is none for this lane.
func (l *lane) take() (p piece, err error) {
	if !l.holding {
		var shared chan struct{}
		if l.alone {
			shared = l.shared
		} else {
			select {
			case <-l.begun:
			case <-l.stop:
				return p, errStopped
			case <-l.ctx.Done():
				return p, context.Cause(l.ctx)
			}
		}
		select { // whoever has the turn may wait for this lane to part
		case <-shared:
			l.parted = true
			return p, io.EOF
		default:
		}
		select {
		case <-shared:
			l.parted = true
			return p, io.EOF
		case l.turn <- struct{}{}:
		case <-l.stop:
			return p, errStopped
		case <-l.ctx.Done():
			return p, context.Cause(l.ctx)
		}
		l.holding = true
	}
	ok := false
	select {
	case <-l.stop:
		l.release()
		return p, errStopped
	default:
	}
	select {
	case p, ok = <-l.next:
	case <-l.stop:
		l.release()
		return p, errStopped
	case <-l.ctx.Done():
		l.release()
		return p, context.Cause(l.ctx)
	}
	if !ok {
		l.release()
		if l.broken != nil {
			return p, l.broken
		}
		return p, io.EOF
	}
	if p.whole {
		l.release()
	}
	return p, nil
}

// goes says that a piece goes into the server now.
func (l *lane) goes(p piece) {
	if len(l.starts) == maxStarts {
		l.starts = slices.Delete(l.starts, 0, maxStarts/2)
	}
	l.starts = append(l.starts, start{l.rows + 1, p.line})
	l.rows += p.lines
	l.home = p.home
}

// gone says that the last piece has been given to the server.
func (l *lane) gone() {
	if l.home != nil {
		l.shelf.free <- l.home
		l.home = nil
	}
}

// fill gets the lane something to read.
func (l *lane) fill() error {
	l.gone()
	p, err := l.take()
	if err != nil {
		l.ends(err)
		return err
	}
	l.goes(p)
	l.rest = p.bytes
	return nil
}

// ends notes why the lane gets no more.
func (l *lane) ends(err error) {
	if err != io.EOF {
		l.ended = err
	}
}

func (l *lane) release() {
	l.holding = false
	<-l.turn
}

// Read gives the lane's rows.
func (l *lane) Read(b []byte) (int, error) {
	if len(l.rest) == 0 {
		if err := l.fill(); err != nil {
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

// copyAlone copies a table of which no more than a piece is known, until its end or
// until others share it. It is emptied before, in the same transaction: what goes into it
// then needs no log, and is seen by all at once, so that nobody has to find out later.
func (s *session) copyAlone(ctx context.Context, e script.Effect, row tuples.Row, l *lane) error {
	err := s.run(ctx, "begin; truncate only "+lockName(e.Table), nil)
	if err == nil {
		l.begin()
		err = s.copyLane(ctx, e.Copy, "FREEZE, ", row, l)
	}
	if err == nil {
		return s.run(ctx, "commit", nil)
	}
	if s.conn.TxStatus() != 'I' && !s.conn.IsClosed() {
		_ = s.run(ctx, "rollback", nil) // the first failure is the one to tell
	}
	return err
}
