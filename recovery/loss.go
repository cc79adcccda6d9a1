package recovery

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Loser is an Engine that can count, from the log in a copy, what going back to
// a point loses.
type Loser interface {
	// Loss counts what was committed after p, up to the end of the log that
	// the copy holds now: the archive is listed anew, so that a tail that was
	// saved after the survey counts. It only reads. The span of o is not
	// used. Where a part of the log is missing or damaged, what is counted is
	// the least that is lost, and the error says which part that is.
	Loss(ctx context.Context, o ScanOptions, p Point) (Loss, error)
}

// Changer is an Engine that can tell, from the log in a copy, what had been done by a
// point.
type Changer interface {
	// Changes yields, the newest first, every transaction that has committed up to
	// p, back to the start of the base backup that p starts from. It only reads.
	// The span and the survey of o are not used. Where a part of the log is missing
	// or damaged the last error says so.
	Changes(ctx context.Context, o ScanOptions, p Point) iter.Seq2[Transaction, error]
}

// Loss is what going back to a point loses.
type Loss struct {
	Component string `json:"component"`
	Copy      string `json:"copy"`
	// From is the first commit that is lost, To the last; both are zero where
	// nothing is.
	From Commit `json:"from,omitzero"`
	To   Commit `json:"to,omitzero"`
	// Commits counts those of all databases of the cluster, or of Of alone.
	Commits int64 `json:"commits,string"`
	// Of, where it is not empty, is the database that goes back alone: commits
	// that changed no table of it are not counted.
	Of string `json:"of,omitempty"`
	// Tables are what was done to each table, the most rows first.
	Tables []TableLoss `json:"tables,omitempty"`
	// Databases are those that lose something, the most commits first: a
	// cluster goes back as a whole, the component's own database and the
	// others in it. A commit that changed no table is of no database.
	Databases []DatabaseLoss `json:"databases,omitempty"`
	// Since and Until stand for commits of which no log tells: lost is what was committed
	// between, from a moment in Since on, until the writes had stopped. Until is zero
	// where there are commits to count.
	Since Span      `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// End is where the log ended that was read, Timeline the one on which it did.
	End      LSN    `json:"end,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
	// AtLeast says that a part of the log could not be read.
	AtLeast bool `json:"at_least,omitempty"`
	// Unnamed says why tables have numbers instead of names; empty where
	// they were asked for and given.
	Unnamed string `json:"unnamed,omitempty"`
	// Files is what is lost of a directory or a bucket, which has no commits; nil
	// elsewhere.
	Files *FilesLoss `json:"files,omitempty"`
	// Final says that nothing can come any more. An engine does not know
	// that; whoever stopped the writes and saved the rest of the log does.
	Final bool `json:"final"`
	// Stopped says that the writes had stopped when it was counted. It is not final
	// then because the end of the log may not be in the copy.
	Stopped bool `json:"stopped,omitempty"`
}

// FilesLoss is what going back loses of files.
type FilesLoss struct {
	// Since is the moment of what comes back, zero where it is not known; Newest when
	// the last of what is lost was written or deleted, zero where nothing was or where
	// nothing tells.
	Since  time.Time `json:"since,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// Changed are there before and after the moment, Added only after, Removed only
	// before.
	Changed int64 `json:"changed,string"`
	Added   int64 `json:"added,string"`
	Removed int64 `json:"removed,string"`
	// Bytes are of those that are changed and added, as they are in live.
	Bytes int64 `json:"bytes,string"`
	// Unsaved are older than the moment and not in the backup, UnsavedBytes of them: no going
	// forward in time would have kept them, only another backup.
	Unsaved      int64 `json:"unsaved,string,omitempty"`
	UnsavedBytes int64 `json:"unsaved_bytes,string,omitempty"`
}

// lost is how many files are not as they were.
func (f *FilesLoss) lost() int64 { return f.Changed + f.Added + f.Removed }

// Span is from the first that is lost to the last: of commits between them, of files
// from the moment of what comes back to the newest change. Known is false where
// nothing tells when what is lost was written.
func (l Loss) Span() (span time.Duration, known bool) {
	switch f := l.Files; {
	case !l.Until.IsZero():
		// The least; where it is not known when the backup was taken, more.
		return max(0, l.Until.Sub(l.Since.To)), l.Since.Known() && !l.AtLeast
	case f == nil && l.Commits == 0, f != nil && f.lost() == 0:
		return 0, !l.AtLeast
	case f == nil:
		return l.To.Time.Sub(l.From.Time), !l.AtLeast
	case f.Since.IsZero() || f.Newest.IsZero():
		return 0, false
	default:
		return f.Newest.Sub(f.Since), !l.AtLeast
	}
}

// saysFiles is what is lost of files, in words.
func (l Loss) saysFiles() string {
	f := l.Files
	const layout = "2006-01-02 15:04:05Z"
	if f.Since.IsZero() {
		return l.Component + ": not known: nothing tells of which moment the backup is"
	}
	if f.lost() == 0 {
		if l.Final {
			return l.Component + ": nothing was written after the moment"
		}
		return l.Component + ": nothing so far"
	}
	var parts []string
	for _, part := range []struct {
		n    int64
		what string
	}{{f.Changed, "changed"}, {f.Added, "new"}, {f.Removed, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, groups(part.n)+" "+part.what)
		}
	}
	least := ""
	if l.AtLeast {
		least = "at least "
	}
	says := fmt.Sprintf("%s: all since %s: files %s%s, %s", l.Component, f.Since.UTC().Format(layout), least, strings.Join(parts, ", "), FormatBytes(f.Bytes))
	if f.Newest.IsZero() {
		says += "; nothing tells when the last was written"
	} else {
		says += ", the last " + f.Newest.UTC().Format(layout)
	}
	if !l.Final {
		says += "; MORE EACH SECOND until the writes stop"
	}
	return says
}

// saysUnsaved is what no backup holds of files, in words.
func (l Loss) saysUnsaved() string {
	return fmt.Sprintf("%s: not in the backup, though older than the moment: %s, %s; only the old data has that",
		l.Component, FormatCount(l.Files.Unsaved, "file"), FormatBytes(l.Files.UnsavedBytes))
}

// LiveLoser is a Switcher that can count, from what is live itself, what going back to
// a point loses so far.
type LiveLoser interface {
	// LiveLoss only reads. It bounds its own time: what it did not come to makes the
	// count the least that is lost.
	LiveLoss(ctx context.Context, l Live, p Point) (Loss, error)
}

// TableLoss is what is lost of one table: what the commits had inserted,
// updated and deleted will not have happened.
type TableLoss struct {
	// Database and Table are names, or numbers where nothing names them.
	Database string `json:"database,omitempty"`
	Table    string `json:"table"`
	Inserted int64  `json:"inserted,string,omitempty"`
	Updated  int64  `json:"updated,string,omitempty"`
	Deleted  int64  `json:"deleted,string,omitempty"`
}

// Rows is how many rows changed.
func (t TableLoss) Rows() int64 { return t.Inserted + t.Updated + t.Deleted }

// DatabaseLoss is how many commits a database loses.
type DatabaseLoss struct {
	Name    string `json:"name"`
	Commits int64  `json:"commits,string"`
	// From and To are the first and the last of them.
	From Commit `json:"from,omitzero"`
	To   Commit `json:"to,omitzero"`
}

// Only is what one database loses where the others stay: what goes back is that
// database alone.
func (l Loss) Only(database string) Loss {
	own := l
	own.Of = database
	own.Commits, own.From, own.To, own.Tables, own.Databases = 0, Commit{}, Commit{}, nil, nil
	for _, d := range l.Databases {
		if d.Name == database {
			own.Commits, own.From, own.To, own.Databases = d.Commits, d.From, d.To, []DatabaseLoss{d}
		}
	}
	for _, t := range l.Tables {
		if t.Database == database {
			own.Tables = append(own.Tables, t)
		}
	}
	return own
}

// Says is the loss in words, one sentence each.
func (l Loss) Says() []string {
	switch {
	case l.Files != nil:
		if l.Files.Unsaved > 0 {
			return []string{l.saysFiles(), l.saysUnsaved()}
		}
		return []string{l.saysFiles()}
	case !l.Until.IsZero():
		return []string{l.saysUncounted()}
	}
	if l.Commits == 0 {
		switch {
		case l.Final:
			return []string{l.Component + ": nothing was committed after the moment"}
		case l.Stopped:
			return []string{l.Component + ": nothing that the log in " + l.Copy + " tells of; the end of the log may not be there"}
		}
		return []string{l.Component + ": nothing so far"}
	}
	count := groups(l.Commits) + " commits"
	if l.Commits == 1 {
		count = "1 commit"
	}
	if l.AtLeast || l.Stopped && !l.Final {
		count = "at least " + count
	}
	if l.Of != "" {
		count += " that changed " + l.Of
	}
	first := fmt.Sprintf("%s: all from %s on: %s", l.Component, l.From.Time.UTC().Format("2006-01-02 15:04:05Z"), count)
	first += saysRows("rows written", l.Tables, func(t TableLoss) int64 { return t.Inserted + t.Updated })
	first += saysRows("rows deleted, which come back", l.Tables, func(t TableLoss) int64 { return t.Deleted })
	switch {
	case l.Final:
	case l.Stopped:
		first += "; the end of the log may not be in " + l.Copy
	default:
		first += "; MORE EACH SECOND until the writes stop"
	}
	if l.Unnamed != "" && len(l.Tables) > 0 {
		return []string{first, l.Component + ": tables may have numbers for names here: the live server gave none: " + l.Unnamed}
	}
	return []string{first}
}

// saysUncounted is what is lost where no log tells of it, in words.
func (l Loss) saysUncounted() string {
	const layout = "2006-01-02 15:04:05Z"
	since := l.Since.To.UTC().Format(layout)
	switch {
	case l.Since.From.IsZero():
		since += " at the latest"
	case !l.Since.Known():
		since = "a moment between " + l.Since.From.UTC().Format(layout) + " and " + since
	}
	return fmt.Sprintf("%s: all since %s, until %s, when the writes had stopped; no log tells how much that is", l.Component, since, l.Until.UTC().Format(layout))
}

// saysRows tells of which tables there are most rows; nothing where there are none.
func saysRows(what string, tables []TableLoss, rows func(TableLoss) int64) string {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t TableLoss) bool { return rows(t) == 0 })
	if len(tables) == 0 {
		return ""
	}
	slices.SortStableFunc(tables, func(a, b TableLoss) int { return cmp.Compare(rows(b), rows(a)) })
	var named []string
	for _, t := range tables[:min(len(tables), lossTables)] {
		named = append(named, t.Table+" "+groups(rows(t)))
	}
	says := "; " + what + ": " + strings.Join(named, ", ")
	switch n := len(tables) - lossTables; {
	case n == 1:
		says += " and 1 more table"
	case n > 1:
		says += fmt.Sprintf(" and %d more tables", n)
	}
	return says
}

// lossTables is how many tables a list names.
const lossTables = 4

// Beyond lists the tables of which l loses rows and told does not: what a person
// who was told of the one has not agreed to.
func (l Loss) Beyond(told Loss) []string {
	var more []string
	for _, t := range l.Tables {
		known := slices.ContainsFunc(told.Tables, func(o TableLoss) bool { return o.Database == t.Database && o.Table == t.Table })
		if !known && t.Rows() > 0 {
			more = append(more, t.Table)
		}
	}
	return more
}
