// Package walg reads and restores what WAL-G keeps: it is a form of repository for the
// engine in recovery/pitr, so that moments, windows, exact stops, looks and recoveries over
// it are those of every base backup with its log.
//
//	database:
//	  kind: postgres
//	  with: wal-g
//	  config: /etc/wal-g/shop.json
//	  environment: ["WALG_LIBSODIUM_KEY=${CIPHER_KEY}"]
//
// Everything is asked of the program itself, which knows where its storage is, how it is
// compressed and encrypted, and how to reach it:
//
//	backup-list --detail --json   full and delta backups
//	wal-show --detailed-json      the archived log, so that gaps are seen
//	wal-fetch                     one file of it; exit 74 says that there is none
//	st ls                         whether there are backups, where backup-list says nothing
//	st cat                        what a backup's own files say of it, and a file as it is stored
//	backup-fetch --restore-spec   a backup, with those that it builds on, into scratch
//
// To list the log is to list its whole folder, so that it is done once: by a survey, and by
// each scan, restore or count of what is lost when it begins. From then on one file is asked
// for by its name, with wal-fetch: what has come meanwhile is there, and of what is not there
// backup-list tells whether the storage itself still is. The folder is listed again only
// where that shows no backup.
//
// All failures of WAL-G end with one code, so that its words are judged. Where they do not
// tell the cause, the failure is one to be tried again, never damage or absence: a connection
// that breaks and a file that is cut off both end in "unexpected EOF". The stored bytes of
// such a file are then read as they are, and it is damaged where all of them come and end too
// early.
//
// WAL-G goes on with nothing that an attempt which was cut off has left: it is removed, and
// the backup is fetched from its beginning.
//
// The copy that is WAL-G's storage is the one in which basebackups_005 or wal_005 lies; where
// comeback cannot see that by itself, `config: [nearby=FILE]` or `repository: nearby` says so.
//
// The package promises that nothing is written into a storage or to a path of the source: it
// runs commands that read, never one that makes a folder, and restores into the directories
// that it is given. Every tablespace is mapped into scratch, also where the storage says
// nothing of any. What wal-fetch would fetch ahead it does not, and nothing but the file that
// was asked for is written, into a directory of its own. Everything runs as the user that
// servers run as. Secrets stand in WAL-G's configuration or, as references of the runbook, in
// its environment, and in no command line.
//
// WAL-G keeps no checksums of the files in a backup, so that the package can prove less than
// of other forms: that every part was unpacked to its end, where what packs and encrypts it
// vouches for it, that every file is there which the backup's own list names, and whatever
// the server finds when the log is replayed. What it cannot prove is a remark in the report,
// and so are the damaged pages that `backup-push --verify` has noted in that list.
package walg
