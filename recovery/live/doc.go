// Package live is how a PostgreSQL server that people use is looked at, and how
// what was restored takes its place, or that of one of its databases.
//
// It promises that live is old or new, and whole, at any moment. What is restored
// is made beside; the act that makes it live is one transaction (two renames of
// databases) or one system call (an exchange of two data directories), and undoing
// it is the same act the other way round. Every function may be called again with
// the same arguments after kill -9 between any two of its statements: it reads how
// far it had come, by OIDs and inodes, and ends in the finished state. One that
// fails gives live back as it was. Whether it is still what was planned for is held against
// what an [Identity] says of it, by whoever calls, before each of them.
//
// The order of work for one database of a running server is [Look] (for the plan),
// [Database.Load], [Quiet], [Database.Fence], [Database.Swap], [Database.Unfence]
// and [Protected]; [Database.Undo] gives the old one back. For a whole cluster it
// is Look, [Prepare], Quiet, [Service.Stop], [Cluster.Exchange], [Service.Start],
// [Cluster.Serves] and Protected; [Cluster.Undo] gives the old one back.
//
// It removes what was live in an expiry alone ([DropOld]), and never shows a password: not
// in an error, a log or an argument of a program.
package live
