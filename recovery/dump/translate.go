package dump

import (
	"context"
	"io"

	"comeback/recovery/dump/script"
	"comeback/recovery/dump/tuples"
)

// How the rows of a table go in as tuples (package tuples): the session that copies them
// translates its next pieces while the server takes the last one, a few in memory beside
// that of the waiting rows. A piece that does not translate, and one that holds a part of a
// row, goes in as the text that it is, by a COPY of its own; behind the TRUNCATE all of
// them are in one transaction, and the order of the rows stays. (So a script whose line
// ends change in the middle of a table is taken here, where psql refuses it.)

const (
	// aheadAtMost is how many translated pieces wait.
	aheadAtMost = 2
	// missesAtMost is how many pieces may be tried in vain, or one in mostMisses of all:
	// from 16 on each COPY can leave up to 63 empty pages in the table.
	missesAtMost = 8
	mostMisses   = 64
)

// translates is how the rows of a COPY are translated; nil says that they are not.
func (s *scriptRun) translates(e script.Effect) tuples.Row {
	facts := s.known.relations[e.Table]
	// In another encoding a byte that looks like a backslash may be half a letter.
	if s.conn.ParameterStatus("client_encoding") != "UTF8" || len(facts.receives) != len(e.Columns) {
		return nil
	}
	receives := make([]string, len(e.Columns))
	for i, name := range e.Columns {
		receives[i] = facts.receives[name]
	}
	row, ok := tuples.For(receives)
	if !ok {
		return nil
	}
	return row
}

// batch is a piece on its way into the server.
type batch struct {
	piece
	tuples []byte // nil: it goes in as text
	err    error  // instead of it
}

// course is a lane whose pieces are translated ahead.
type course struct {
	*lane
	row   tuples.Row
	ahead chan batch
	spare chan []byte   // memory for tuples
	done  chan struct{} // nobody wants what comes
	ended chan struct{} // nothing comes any more
	now   batch         // is going in, or goes in next
	// Of the COPY that is under way: whether it takes tuples, what it has not read of
	// what is going in, whether now has begun to, and whether all of it has been read.
	binary, begun, over bool
	left                []byte
}

// translate begins to translate what a lane gets.
func (l *lane) translate(row tuples.Row) *course {
	c := &course{lane: l, row: row, ahead: make(chan batch, aheadAtMost), spare: make(chan []byte, aheadAtMost+2), done: make(chan struct{}), ended: make(chan struct{})}
	go c.run()
	c.now = <-c.ahead
	return c
}

// run translates one piece after the other.
func (c *course) run() {
	defer close(c.ended)
	begins, misses := true, 0 // a row begins with the piece
	for pieces := 0; ; pieces++ {
		p, err := c.take()
		b := batch{piece: p, err: err}
		if err == nil && begins && p.whole && misses < max(missesAtMost, pieces/mostMisses) {
			var memory []byte
			select {
			case memory = <-c.spare:
			default:
			}
			if memory, ok := c.row.Append(memory[:0], p.bytes); ok {
				b.tuples = memory
				c.shelf.free <- p.home
				b.bytes, b.home = nil, nil
			} else {
				misses++
			}
		}
		begins = p.whole
		select {
		case c.ahead <- b:
		case <-c.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// end stops translating; it returns when nothing of it is under way.
func (c *course) end() {
	close(c.done)
	if c.now.err == nil { // it may be waiting for a piece
		c.fail()
	}
	<-c.ended
}

// open begins a COPY of what goes in next; false says that nothing does.
func (c *course) open() bool {
	if c.now.err != nil {
		c.ends(c.now.err)
		return false
	}
	c.binary, c.begun, c.over = c.now.tuples != nil, false, false
	c.starts, c.rows = c.starts[:0], 0 // the server counts the rows of each COPY
	if c.left = nil; c.binary {
		c.left = tuples.Header
	}
	return true
}

// Read gives the data of the COPY that open has begun.
func (c *course) Read(b []byte) (int, error) {
	for len(c.left) == 0 {
		if c.over {
			return 0, io.EOF
		}
		if err := c.more(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// more gets the COPY that is under way something to read, or ends it.
func (c *course) more() error {
	if c.begun {
		c.leave()
	}
	switch {
	case c.now.err != nil && c.now.err != io.EOF:
		c.ends(c.now.err)
		return c.now.err
	case c.now.err == nil && c.binary == (c.now.tuples != nil):
		c.begun = true
		c.goes(c.now.piece)
		if c.left = c.now.bytes; c.binary {
			c.left = c.now.tuples
		}
	default:
		c.over = true
		if c.binary {
			c.left = tuples.Trailer
		}
	}
	return nil
}

// leave gives back what has gone in, and waits for what comes next.
func (c *course) leave() {
	c.gone()
	if c.now.tuples != nil {
		select {
		case c.spare <- c.now.tuples:
		default:
		}
	}
	c.begun = false
	c.now = <-c.ahead
}

// copyLane copies what a lane gets, as tuples where it can; options, each with a comma
// behind it, are those of the COPY.
func (s *session) copyLane(ctx context.Context, sql, options string, row tuples.Row, l *lane) error {
	asText, asTuples := sql+" WITH ("+options+"FORMAT text)", sql+" WITH ("+options+"FORMAT binary)"
	if row == nil {
		_, err := s.copy(ctx, asText, l)
		return err
	}
	c := l.translate(row)
	defer c.end()
	for c.open() {
		how := asText
		if c.binary {
			how = asTuples
		}
		rows, err := s.copy(ctx, how, c)
		if err != nil {
			return err
		}
		if c.binary {
			s.translated.Add(rows)
		}
	}
	return l.ended
}
