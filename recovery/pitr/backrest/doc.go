// Package backrest reads and restores what pgBackRest keeps: it is a form of
// repository for the engine in recovery/pitr, so that moments, windows, exact stops,
// looks and recoveries over a stanza are those of every base backup with its log.
//
//	database:
//	  kind: postgres
//	  with: pgbackrest
//	  stanza: shop
//	  config: /etc/pgbackrest/pgbackrest.conf
//	  repo: 1
//	  environment: ["PGBACKREST_REPO1_CIPHER_PASS=${CIPHER_PASS}"]
//
// Everything is asked of the program itself, which knows where its repositories are,
// how they are compressed and encrypted, and how to reach them:
//
//	info --output=json       backups, the clusters that the stanza has had, its state
//	repo-ls --output=json    the archived log, so that gaps are seen
//	repo-get                 one segment, decrypted, several at a time
//	restore --type=none      a backup with all that it refers to, into scratch
//
// The copy that holds the repository is the one in which the stanza's backup.info lies;
// where comeback cannot reach the repository by itself (it is behind a repository host, or at
// a provider that copies do not know), `repo: [nearby=1]` says which copy stands for it.
//
// The package promises that nothing is written into a repository or to a path of the
// stanza's own cluster: it runs commands that read, restores into the directories that it
// is given, and gives the program a directory of its own for locks and spool. It has the
// program map every tablespace into scratch, refuses links that lead elsewhere, and never
// lets a restored configuration act. Everything runs as the user that servers run as,
// because that is whom a repository lets in. Secrets are pgBackRest's own: they stand in its
// configuration or, as references of the runbook, in its environment, and in no command line.
package backrest
