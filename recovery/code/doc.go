// Package code brings back the commit that was deployed at a moment: from a git
// bundle in a copy, by a record of the deploys. It promises that what stands in
// the target is exactly that commit, proven by its hash, and that the live
// checkout is never touched.
//
// A copy holds bundles, as `git bundle create shop.bundle --all` writes them, and
// a deploy record: a file `deploys` beside them, to which a deploy step appends
//
//	2026-11-22T10:04:05Z 3f786850e387550fdaf836ed3e6dc881de23001b anything
//
// Without a record, tags in a bundle whose name holds a time in UTC
// (deploy/20261122T100405Z) tell the same, and without those the newest bundle
// before the moment stands for itself.
//
// git does the work, without the host's configuration and without hooks, and is
// asked nothing but what a name or a hash can be.
package code
