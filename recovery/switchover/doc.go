// Package switchover is how a recovery brings a restored PostgreSQL database live:
// the steps of a switch, over the acts of package live.
//
// For one database of a running server (`into: database`, the default) the restored
// one is loaded beside it, the live one is closed to everybody, the rest of its log
// is pushed out and what is lost is counted; then the two change their names in one
// transaction and users are let in. What was live stays under another name until its
// time has come.
//
// For a whole cluster (`into: cluster`) the restored data directory is moved beside the
// live one and gets its configuration, the live server is stopped, and the two
// directories change places in one step; the server is started on the restored one,
// and its new timeline is proven to be in the copy. The old directory stays beside.
// Until the exchange everything beside live is a claim that knows what it made by its
// inode: what was live is never removed by a switch, whatever stands where.
//
// It promises that a run which ends on the way, however it ends, gives the old
// system back: what is not finished is a claim. The exchange of all components of a
// switch is finished when they are opened, and not before.
//
// It never restores, and removes what was live in an expiry alone, which is a run of its own.
package switchover
