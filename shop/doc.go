// Package shop is a small real shop to lose and to bring back: the one fixture
// that the demo, the tests and the benchmarks share.
//
// A [Shop] is a live PostgreSQL cluster with customers, orders, carts and
// uploads, and the backups that such shops have: a nightly `pg_dump | gzip`, a
// base backup, and a write-ahead log that is archived while it is written.
// People order at a steady rate, and then a migration deletes all orders and
// drops the carts.
//
// It promises to know the truth. Every write is one transaction whose id,
// commit time and row counts are kept, so that what was restored can be held
// against what was there; with the same seed, scale and clock a shop is the
// same shop, but for the times of its writes.
//
// [Shop.Furnish] sets configuration and a deployed application beside the
// database, [Shop.BackupFiles] backs the files up, and [Shop.Vandalize] ruins
// what the migration has left.
//
// Everything of a shop lies in one directory: cluster/ (the server's data),
// uploads/, etc/, app/ and copies/nearby/ (db/, base/, wal/, uploads/, config/ and
// code/). The server listens on a
// Unix socket in a private directory and on no port. It ends with the process
// that opened the shop, however that ends, unless [Shop.Detach] was asked for.
package shop
