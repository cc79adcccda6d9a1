// Package scan tells, from the write-ahead log of a PostgreSQL cluster, what
// each transaction did: which rows of which tables it inserted, updated and
// deleted, what it created, dropped, truncated and rewrote, where it ends and
// where to stop to go to just before it. The log does not tell who.
//
// A Reader goes through a stretch of the log, the newest part first. It cuts
// the stretch into chunks of a few segments and reads several at a time:
//
//	Fetch ─▶ segments ─read, pg_waldump─▶ records ─gather─▶ work per xid
//	      ─join─▶ whole transactions, in descending order ─name─▶ recovery.Transaction
//
// Nearly all records are of a few kinds: these it reads itself. Of the others it
// asks the pg_waldump of the server's own major, and where anything in a chunk is
// not as it expects, it has pg_waldump tell all of that chunk, so that what the log
// says, and where it ends, is always what pg_waldump says.
//
// A transaction that began in an older chunk is held back until that chunk was
// read. Memory holds counters, never records; the directory holds the segments
// of the chunks that are being read, and is empty afterwards.
//
// The package never writes to a server or a copy, never guesses a name (what
// nothing names stays a number), and never lists rows of a transaction that was
// not seen to end. Before PostgreSQL 15 a commit does not tell the OIDs of what it
// dropped: a table that was truncated since its name was saved, and is dropped, stays
// a number there.
package scan
