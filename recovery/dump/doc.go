// Package dump surveys and restores logical dumps: what pg_dump and pg_dumpall
// write, as they write it, without any metadata of comeback's own. The nightly
//
//	pg_dump "$DATABASE_URL" | gzip | aws s3 cp - "s3://backups/db/$(date +%F).sql.gz"
//
// restores as it is.
//
// The survey finds plain scripts (also gzip, zstd, bzip2), pg_dumpall scripts, also its globals and a dump in one,
// and the custom, tar and directory archives of pg_dump, by content and by
// name. A dump's moment is the moment it was begun. Where neither its content
// nor its name tells that, the moment is a range, and a dump counts as from
// before a time only if the whole range is.
//
// A restore goes into a scratch cluster that the run claims (dump.cluster), is
// fed to it (dump.restore) and made safe (dump.settle). Plain scripts are split
// and judged by package script and sent as single statements, so that nothing
// in them reaches a shell. Of archives pg_restore loads the definitions, and writes
// rows, the rest and what roles may do as a script; where little of that could be done beside each other it
// loads all. Missing roles are created without login and reported.
// A dump that is cut off is refused, at the latest when its end is missing: then nothing
// counts as restored.
//
// # Beside each other
//
// pg_dump writes a script in a good order: definitions, rows, sequences, indexes
// and keys, triggers, foreign keys, then what builds on all. The script's own
// session executes it in that order (restore_script.go). Rows, indexes, keys,
// triggers and foreign keys it hands to a crew of sessions (beside.go, package crew)
// and reads on; the settings of the script's session, search_path among them, are read
// from the server and given to whoever takes a task. Before anything else it waits
// for the crew, so that whatever is not known in every detail is executed alone,
// in its place, as in a plain restore. When in doubt there is no other session.
//
// What may be handed over is decided by the statement's own words
// (script.Effect), which must be of a form that pg_dump writes, and by the
// catalogue of the scratch server, asked once when the definitions are in
// (catalogue.sql): no event trigger, no operator, cast or operator class
// written in SQL, search_path empty; for rows an empty plain table without
// triggers, rules and indexes, whose checks, generated columns, domains and
// partition keys run nothing but functions of PostgreSQL's own that read no
// table; for indexes and keys no function of the dump's. Anything inside a
// transaction of the script's stays there, large objects too.
//
// Rows go over in pieces that end where a row ends (load.go). One session copies
// a table, behind a TRUNCATE in one transaction, so that it needs no log; what it has
// not come to waits in memory, a 32nd of the machine's and no more than 512 MiB, and
// the reader goes on to the next table, which another session copies. Where so
// much waits of one table that three sessions or more have nothing to do, the first one
// commits and all copy what they can take, a piece at a time: that costs the log of it, in
// exchange for processors that would be idle. Fewer are slower with that log than one
// without. Nothing else is held but a few translated pieces of each session, however long
// the script is: when the memory is full, reading waits.
//
// Rows whose columns are all of types that package tuples knows go in translated, in COPY's
// binary format, which takes the server about half the work; pieces that hold anything else
// go in between as the text that they are (translate.go).
//
// What stands behind the rows is known of an archive before they come, and of a script that is
// not packed from its end (outlook.go): indexes, and keys that are built as such. As soon as all rows of a table are in, those of it are begun while
// other tables' rows come, in sessions that have nothing else to do, never in all; one of a
// kind that takes long goes before rows, once those of all tables with such an index come.
// When the script comes to it, its text must be the same, and the session's settings; and what
// failed early is built in its place, and told there. Whatever is not known in every detail
// ends what is foreseen; what was built early and did not come before it is dropped again.
// So what comes is what the script says, whatever was foreseen.
//
// A key over plain columns is built as an index, beside the other indexes of
// its table, and made a constraint when they are done. What takes longest goes
// first: the rows that a table got and their bytes, times what its kind of index takes.
// A foreign key is added without a look at the rows, and then looks at them: that
// holds its tables less, so that keys of other tables can look at theirs. Once the
// foreign keys are in, sessions that have nothing to do gather statistics.
//
// A failure is the first one of the script, with its line, whichever session
// came upon something first; then nothing counts as restored.
//
// # After an interruption
//
// A restore outlives its runner: what was fetched of an archive stays (a script
// begins again), the server is started again, and what was built with fsync off
// and not settled is given up after a reboot.
//
// # Backups
//
// It takes them, too (capture.go): a dump of the live database as pg_dump writes it, and beside
// it what the dump needs of its server. That, into copies that it is handed, is all that it
// writes to a copy; it never replaces an object there, and removes none. A live server it
// only reads, and only for a backup; it never touches any other that it did not claim.
package dump
