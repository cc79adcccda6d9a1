package pitr

import (
	"strconv"
	"strings"
	"sync"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// serverSays collects what the log of a recovering server tells.
type serverSays struct {
	mu sync.Mutex
	// redo is the position that it last told of.
	redo recovery.LSN
	// stopping is the line that says at which record it stops.
	stopping   string
	stoppingAt recovery.LSN
	after      bool
	// lacking are settings that must be larger, with what they must be.
	lacking map[string]int
	// broken is the last complaint about the log itself, and where.
	broken string
	// bare is the last line that is not the server's own: restore_command's
	// shell complains so.
	bare string
}

var (
	stoppingLine = pattern.New(`^recovery stopping (before|after) WAL location \(LSN\) "([0-9A-F]+/[0-9A-F]+)"`)
	redoLine     = pattern.New(`^redo (?:in progress.*current LSN: |starts at )([0-9A-F]+/[0-9A-F]+)`)
	lackingLine  = pattern.New(`^(?:hot standby is not possible because )?(max_connections|max_worker_processes|max_wal_senders|max_prepared_transactions|max_locks_per_transaction) = \d+ is a lower setting than on the (?:primary|master) server(?:, where | \()its value was (\d+)`)
	brokenLine   = pattern.New(`checksum in record at|magic number|invalid record length|record length \d+|unexpected pageaddr|incorrect prev-link|contrecord|invalid info bits|out-of-sequence|different database system|incorrect XLOG|resource manager ID`)
)

// add reads one line.
func (s *serverSays) add(line string) {
	l := postgres.ParseLogLine(line)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := stoppingLine.FindStringSubmatch(l.Text); m != nil && l.Severity == "LOG" {
		s.stopping, s.after = l.Text, m[1] == "after"
		s.stoppingAt, _ = recovery.ParseLSN(m[2]) // the expression allows nothing else
	}
	if m := redoLine.FindStringSubmatch(l.Text); m != nil && l.Severity == "LOG" {
		s.redo, _ = recovery.ParseLSN(m[1])
	}
	if m := lackingLine.FindStringSubmatch(l.Text); m != nil && (l.Severity == "DETAIL" || l.Severity == "FATAL") { // before 14 the server ends
		if s.lacking == nil {
			s.lacking = map[string]int{}
		}
		if n, err := strconv.Atoi(m[2]); err == nil {
			s.lacking[m[1]] = n
		}
	}
	if l.Severity == "" && !strings.HasPrefix(line, "\t") && strings.TrimSpace(line) != "" {
		s.bare = strings.TrimSpace(line)
	}
	if l.Severity == "LOG" && brokenLine.MatchString(l.Text) {
		s.broken = strings.TrimSpace(l.Text)
	}
}

// stopped is where the server says that it stops, if it has.
func (s *serverSays) stopped() (line string, at recovery.LSN, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping, s.stoppingAt, s.after
}

// lacks gives the settings that must be larger.
func (s *serverSays) lacks() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lacking
}

func (s *serverSays) progress() recovery.LSN {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redo
}

func (s *serverSays) complaint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// shell is what restore_command's shell said last, as the end of a sentence.
func (s *serverSays) shell() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bare == "" {
		return ""
	}
	return "; " + s.bare
}
