// Package exclusive keeps a second run from a live target while one is at work
// on it.
//
// On one host a lock file does it, locked for as long as its process lives: a
// killed one leaves a file that nobody holds. Across hosts a lease does it, an
// object in a copy that every host reaches, written only on the condition that
// nobody else has written it since: who holds it, until when, renewed by a
// heartbeat. [Take] takes both, or says who has them; [Hold.Check] asks again
// immediately before each act that changes live.
//
// No two clocks are compared. A lease has ended when the clock of the store, by
// which its object was modified, has gone on by the lease's length and a margin;
// where a store does not tell its time, when the object has not changed for as
// long as that while the taker watched. Its holder trusts it for its length
// alone, from before its last renewal was sent, by the longer of what its
// monotonic and its wall clock say (the first stands still while a virtual
// machine sleeps). A holder that is found dead by the lock file of its own host
// need not be waited for.
//
// What it cannot do: a copy that takes no conditional writes, or cannot be
// written, holds no lease, and where no copy does, only this host is kept from
// the target: the hold's remarks say so. A copy that keeps versions keeps each
// renewal, a few hundred bytes, three in a minute. Of several copies one that
// still proves the hold is enough, so hosts that reach no copy in common do not
// see each other. Targets are the same where their identities are the same text.
package exclusive
