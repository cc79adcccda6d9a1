package postgres

import (
	"strings"
	"sync"

	"comeback/pattern"
)

// LogLine is one line of a server's log.
type LogLine struct {
	// Severity is LOG, WARNING, ERROR, FATAL, PANIC, DETAIL, HINT, STATEMENT
	// or CONTEXT; it is empty for a line that continues the one before.
	Severity string
	Text     string
	// Early is set for a complaint from before the log is set up.
	Early bool
}

// logPrefix is log_line_prefix '%m [%p] ', which is also PostgreSQL's default
// and so holds before the configuration is read.
var logPrefix = pattern.New(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \S+ \[\d+\] (?:\S+ )??([A-Z]+\d?):  (.*)$`)

// early are complaints from before the log is set up.
var early = pattern.New(`^(?:\S*/)?postgres: (.*)$`)

// ParseLogLine reads a line of a server's log.
func ParseLogLine(line string) LogLine {
	if m := logPrefix.FindStringSubmatch(line); m != nil {
		return LogLine{Severity: m[1], Text: m[2]}
	}
	if m := early.FindStringSubmatch(line); m != nil {
		return LogLine{Severity: "FATAL", Text: m[1], Early: true}
	}
	return LogLine{Text: strings.TrimLeft(line, "\t")}
}

// serverLog remembers what a server said about its own failure.
type serverLog struct {
	mu sync.Mutex
	// cause is the first PANIC, else the first FATAL, since the start; a later
	// one is often only an echo.
	cause      string
	causeLevel int
	open       bool   // lines that continue the cause may follow
	early      bool   // the cause is from before the log is set up
	last       string // the last LOG line
	full       string // the first line that says that a disk is full
	ready      chan struct{}
	readyOnce  sync.Once
}

func newServerLog() *serverLog { return &serverLog{ready: make(chan struct{})} }

// levels rank the severities that can explain an end.
var levels = map[string]int{"FATAL": 1, "PANIC": 2}

func (l *serverLog) add(raw string) LogLine {
	line := ParseLogLine(raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full == "" && noSpace.MatchString(line.Text) {
		l.full = line.Text
	}
	level := levels[line.Severity]
	if crash.MatchString(line.Text) {
		level = levels["FATAL"]
	}
	switch {
	case level > l.causeLevel && !echo(line.Text):
		l.cause, l.causeLevel, l.open, l.early = line.Text, level, true, line.Early
		if strings.HasSuffix(line.Text, "contains errors") && l.last != "" {
			l.cause += " (" + l.last + ")"
		}
	case l.open && line.Severity == "DETAIL":
		l.cause += " (" + line.Text + ")"
	case l.open && l.early && line.Severity == "":
		l.cause += " " + line.Text
	case line.Severity != "" && line.Severity != "HINT":
		l.open = false
	}
	if line.Severity == "LOG" {
		l.last = line.Text
	}
	if line.Severity == "LOG" && strings.HasPrefix(line.Text, "database system is ready to accept ") {
		l.readyOnce.Do(func() { close(l.ready) })
	}
	return line
}

// crash is how the postmaster tells of a process that died, as a LOG line.
var crash = pattern.New(`^[a-z ]+ \(PID \d+\) was terminated by signal`)

// echo reports whether a FATAL line is a session's, not the server's.
func echo(text string) bool {
	return strings.HasPrefix(text, "the database system is ") ||
		strings.HasPrefix(text, "terminating ") ||
		strings.HasPrefix(text, `role "`) || strings.HasPrefix(text, `database "`) ||
		strings.HasPrefix(text, "sorry, too many clients") ||
		strings.HasPrefix(text, "no pg_hba.conf entry")
}

// words are the server's own words about its end, or "".
func (l *serverLog) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full != "" {
		return l.full
	}
	return l.cause
}
