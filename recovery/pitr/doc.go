// Package pitr restores a PostgreSQL cluster to a point in time: a base backup
// and the archived write-ahead log (WAL) that follows it.
//
// It promises to stop exactly. A moment is resolved, before anything long is
// copied, to a position in the log that stands between two transactions; the
// server is told that position and nothing else, and the step ends well only
// when the server proves that it stands there: by what it has replayed, by the
// state of the transactions on both sides, and by the history of the timeline
// that it opens. It never guesses a time, and a missing segment, a failing
// network and the end of the archive stay three different things.
//
// The order of work:
//
//	survey.go   what a copy holds: base backups, the archive, windows with gaps
//	clusters.go whose each segment is, where servers that followed each other share a place
//	lineages.go which of their clusters a moment is of
//	resolve.go  from what was asked for to a point
//	plan.go     the steps that lead there
//	copy.go     pitr.copy: the base backup, verified, into scratch
//	copy_combine.go  the same for an incremental backup with those before it
//	replay.go   pitr.replay: feed, watch, prove, open
//	tail.go     pitr.tail: save what a dead server had not archived
//	loss.go     what going back to a point loses
//	revive.go   after an interruption: the opened server, brought back and proven
//
// An interrupted copy goes on with the files that are not whole (copied.go), an
// interrupted replay from the server's last restart point. From the replay on
// the server runs with fsync off, so a reboot costs both.
//
// A [Repository] is the form in which base backups and WAL are stored. The
// native one is what pg_basebackup and archive_command leave behind.
//
// The package never lets a restored server archive. It writes to a copy base backups of a live
// one (capture.go), the names of the relations in the log (names.go), what a dead server had not
// archived (tail.go), and a note beside the log on a timeline that was left (abandon.go). It
// replaces no object but a segment that was not full when it was saved, by what its server has
// written since, and removes none.
package pitr
