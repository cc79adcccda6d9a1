// Package bucket brings back a bucket that keeps versions to what it held at a moment: of
// each key the version that was current then, by the bucket's own clock or, where a row of a
// database names the hash of its file, by that.
//
// [New] restores it into a tree, whole and of one moment, or not at all. [NewSwitcher] brings
// the bucket itself back in place, after the tree was checked: what was current at the moment
// becomes the current version again, and what was not there gets a mark of deletion. What is
// right already is not touched. What was current before is listed by its version before
// anything is changed, so that whatever interrupts a change, going on and giving back both
// know what it was; what somebody else has written meanwhile is left to them, and said.
//
// The order of work:
//
//	engine.go   moments: since when absence is known, and what was current (versions.go, listing.go)
//	restore.go  bucket.restore: the objects of the moment as files
//	rows.go     bucket.rows: the versions that rows name by their hashes
//	live.go     which bucket is live, and the steps of a switch
//	revert.go   the change, by lists of changes (change.go), with what is a copy of what (copies.go)
//	release.go  what was current before, current again
//
// It writes to a live bucket only versions and marks on top of those that are there. It never
// deletes a version.
package bucket
