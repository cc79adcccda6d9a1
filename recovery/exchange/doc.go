// Package exchange puts what was restored in the place of what is live, and
// back, in one step that no crash can halve.
//
// It promises that at any moment the live path names one of the two, whole: the
// kernel exchanges the names (renameat2 with RENAME_EXCHANGE), and nothing is
// copied or removed. Which of the two is where is never remembered, it is read:
// by device, inode and birth. So the same call may be made again after kill -9 at any
// point, and knows whether it has happened; and something else that has come to
// stand at one of the paths is a refusal.
//
// The order of work is [Look], as soon as both are there, which refuses whatever
// could not be exchanged; to keep the [Pair] (it is JSON) where it survives; and
// then [Pair.Exchange], or [Pair.Undo], which is the same act the other way
// round. Before that the caller makes what was restored durable, and proves that
// nobody uses either of them: this package knows neither PostgreSQL nor files.
package exchange
