// Package dump surveys and restores logical dumps: what pg_dump and pg_dumpall
// write, as they write it, without any metadata of comeback's own. The nightly
//
//	pg_dump "$DATABASE_URL" | gzip | aws s3 cp - "s3://backups/db/$(date +%F).sql.gz"
//
// restores as it is.
//
// The survey finds plain scripts (also gzip, zstd, bzip2), pg_dumpall scripts,
// and the custom, tar and directory archives of pg_dump, by content and by
// name. A dump's moment is the moment it was begun. Where neither its content
// nor its name tells that, the moment is a range, and a dump counts as from
// before a time only if the whole range is.
//
// A restore goes into a scratch cluster that the run claims (dump.cluster), is
// fed to it (dump.restore) and made safe (dump.settle). Plain scripts are split
// and judged by package script and sent as single statements, so that nothing
// in them reaches a shell; archives go through pg_restore. Missing roles are
// created without login and reported. A dump that is cut off is refused, at the
// latest when its end is missing: then nothing counts as restored.
//
// A restore outlives its runner: what was fetched of an archive stays (a script
// begins again), the server is started again, and what was built with fsync off
// and not settled is given up after a reboot.
//
// It never writes to a copy and never touches a server that it did not claim.
package dump
