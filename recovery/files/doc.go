// Package files brings back directory trees: uploads, attachments, whatever lies
// beside a database. It promises that a tree is restored as it was or not at
// all: every byte proven by what the backup recorded of it, modes, owners,
// times, links, holes, access control lists and other extended attributes, and names
// of any bytes kept, and nothing written outside of the target, whatever an archive
// says. What this host or its file system does not let it keep of these, it tells.
//
// It reads tar archives as people have them, plain or
// packed with gzip, zstd or bzip2:
//
//	tar -C /srv/shop -cz uploads | aws s3 cp - "s3://backups/uploads/$(date +%F).tar.gz"
//
// Of names that an archive has more than once, because it was appended to, the last counts,
// as it does for tar. It also reads snapshots, its own open format (snapshot.go), which
// [Capture] writes: new content in packs of tens of megabytes, one manifest that says which
// file is where, restorable by hand with zstd and tar. A snapshot restores by parallel
// reads of those parts of packs that hold its files, in bounded memory, and each
// file is held against its SHA-256. With [NewConfig] a tree is the same, encrypted.
//
// [NewRestic] restores from repositories of restic, through the program itself and without a
// lock there.
//
// The order of work:
//
//	survey.go   what a copy holds, judged by content
//	resolve.go  the newest backup that is surely from before the moment
//	plan.go     one step
//	restore.go  files.restore: files first, then links and directories
//
// restic.go has the same in the same order for its own. What writes a tree, and where it
// stands, is package tree's.
//
// An interrupted restore goes on where its ledger says that it stood.
//
// It writes to a copy only what [Capture] stores there, and never replaces an object.
package files
