// Package rescue brings some rows back into a database that lives on, and leaves
// everything else in it as it is.
//
// What is brought back is the difference of two copies, one from before a
// transaction and one from just after it: what is in the first and not in the
// second is what the transaction did. The live database takes no part in that,
// because a difference with it would bring back what was rightly deleted later.
//
// The order of work:
//
//	catalog.go  what a database says of its tables
//	diff.go     which tables of which copies; of several transactions, each has two
//	partitions.go  which partitions are gone, and whether live has others in their place
//	large.go    large objects that a transaction removed: told, because they do not come back
//	compare.go  copies side by side, in the order of the key: removed, changed, added
//	match.go    which table and columns of live they belong to
//	preview.go  what live has of each row (classify.go), and what would be done; live is only read
//	parents.go  what refers to rows that live does not have is left out
//	apply.go    in one transaction: tried, undone, compared, taken back, then done
//	sequences.go before that, sequences go past the keys that come back, and stay there
//	undo.go     the script that takes it back, on disk before anything is committed
//
// Between the steps rows lie in files of a private directory, in the format of
// COPY; in memory there is a batch of them, and where rows refer to others that
// come back with them a hash of each of those.
//
// It promises to do what the preview lists and nothing more: a row that live has
// changed since then is left alone. Foreign keys are PostgreSQL's own all the
// while, and no row of others goes along by a cascade: rows that are taken away are
// locked before anything looks for what refers to them. Whom a session is with is
// proven in the session, and again in the transaction that writes. A transaction's id
// is recorded before its commit, so that after a crash the server tells whether it
// came to pass, and repeating does nothing twice.
//
// Names are what the catalogs say, quoted; no schema but pg_catalog is searched
// for anything that this package writes. Triggers run with the search path that
// the role has, as they do for others. Rows never stand in an error, and nothing
// here writes a journal.
package rescue
