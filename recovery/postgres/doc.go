// Package postgres is what comeback knows about PostgreSQL servers: which
// majors are installed, how a scratch cluster is made, started, judged and
// removed, and how the identity of a server is read.
//
// It promises isolation. A scratch server has a configuration of our own and
// none of the source's, listens on one Unix socket in a private directory and
// on no port, archives nothing, subscribes to nothing, preloads nothing, and
// runs in a network namespace without a way out where the host can give one.
// It runs as an unprivileged user, in a process group of its own, and ends
// when the process that started it ends, however that ends.
//
// The order of work is [FindTools], [Cluster.Init] (or a restored data
// directory and [Cluster.Claim]), [Cluster.Configure], [Start], work,
// [Server.Stop], after an interruption [Revive], and at the end of the run [ReleaseCluster], which needs
// nothing but the record of the claim.
//
// It never reads a copy, and never signals a process that is not a PostgreSQL
// server of exactly the data directory in question.
package postgres
