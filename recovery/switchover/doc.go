// Package switchover is how a recovery brings a restored PostgreSQL database live:
// the steps of a switch, over the acts of package live.
//
// For one database of a running server (`into: database`, the default) the restored
// one is loaded beside it, the live one is closed to everybody, the rest of its log
// is pushed out and what is lost is counted; then the two change their names in one
// transaction and users are let in. What was live stays under another name until its
// time has come.
//
// It promises that a run which ends on the way, however it ends, gives the old
// system back: what is not finished is a claim. The exchange of all components of a
// switch is finished when they are opened, and not before.
//
// It never restores, and never removes what was live.
package switchover
