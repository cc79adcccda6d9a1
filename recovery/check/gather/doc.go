// Package gather sees what a check judges: what copies tell of themselves beside their
// backups, and of the locks of what the newest need, what live servers and sources are now,
// what would keep a recovery on this host from its switch, what decrypts, and what waits on
// this host for the copies.
//
// It promises that what cannot be seen is evidence, too: it stands in [check.Evidence] as what
// it is, with its reason, and keeps nothing else from being looked at. A copy that does not
// answer is given up after a while.
//
// It looks at the copies, the servers and the sources side by side, and then at what is known
// only by what lies in the copies. It never judges. It stores nothing but, where it is asked
// to, a canary and the runbook in copies, and in the state what it need not read again.
package gather
