package execute

import (
	"sync"
	"time"

	"comeback/recovery"
)

// maxUnwritten bounds, in bytes, the lines that wait to be written. What says more than the
// disk takes waits then: a log lacks nothing but what it says that it has left out.
const maxUnwritten = 1 << 20

// lineInMemory is about what a line takes in memory beside its text.
const lineInMemory = 64

// logFile is where a scribe writes: a stepsLog.
type logFile interface {
	line(at time.Time, text string) error
	flush() error
	Close() error
	record() recovery.Artifact
}

// scribe writes what a program says into a log while the program goes on: whoever says a line
// does not wait for the disk, and holds nothing that others wait for. It is safe for
// concurrent use; nothing of it is at work while nothing is unwritten.
type scribe struct {
	now func() time.Time
	// begin makes the log, at the first line.
	begin func() (logFile, error)
	// read is told of the lines that can be read in the log, in their order, and of those
	// that it could not take.
	read func(lines ...string)

	mu        sync.Mutex
	changed   sync.Cond // of what follows
	unwritten []saidLine
	bytes     int
	writing   bool // somebody writes
	ended     bool // the log takes nothing any more

	// log is nil before the first line, failed why it lacks what was said. They are of who
	// writes, and of who closes when nobody does any more.
	log    logFile
	failed error
}

// saidLine is a line, and when it was said.
type saidLine struct {
	at   time.Time
	text string
}

func newScribe(now func() time.Time, begin func() (logFile, error), read func(lines ...string)) *scribe {
	s := &scribe{now: now, begin: begin, read: read}
	s.changed.L = &s.mu
	return s
}

// say has a line written. One that is said after the end is lost: the digest of the log is
// told by then.
func (s *scribe) say(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes >= maxUnwritten && !s.ended {
		s.changed.Wait()
	}
	if s.ended {
		return
	}
	s.unwritten = append(s.unwritten, saidLine{s.now(), line})
	s.bytes += len(line) + lineInMemory
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// write writes until nothing is unwritten.
func (s *scribe) write() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.unwritten) > 0 {
		lines := s.unwritten
		s.unwritten, s.bytes = nil, 0
		s.changed.Broadcast()
		s.mu.Unlock()
		s.put(lines)
		s.mu.Lock()
	}
	s.writing = false
	s.changed.Broadcast()
}

// put puts lines into the log. After a failure nothing more is put: it would follow a gap.
func (s *scribe) put(lines []saidLine) {
	if s.log == nil && s.failed == nil {
		log, err := s.begin()
		if err == nil {
			s.log = log
		}
		s.failed = err
	}
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.text
		if s.failed == nil {
			s.failed = s.log.line(l.at, l.text)
		}
	}
	if s.failed == nil {
		s.failed = s.log.flush()
	}
	s.read(texts...)
}

// end returns when all that was said is written; nothing more is.
func (s *scribe) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
	for s.writing {
		s.changed.Wait()
	}
}

// close ends the log and makes it durable; it is nothing where nobody has said anything.
func (s *scribe) close() ([]recovery.Artifact, error) {
	s.end()
	if s.log == nil {
		return nil, s.failed
	}
	err := s.log.Close()
	if s.failed != nil {
		err = s.failed
	}
	return []recovery.Artifact{s.log.record()}, err
}
