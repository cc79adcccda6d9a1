// Package crew does the statements of a script on several sessions at once, so
// that the result is the one that their order would have given.
//
// A task says which relations it locks and how. It waits for every task added
// before it whose locks conflict with its own, and no two tasks whose locks
// conflict are ever under way together; only among foreign keys, which exclude
// each other but do not build on each other, the order is free. Of the tasks
// that may begin, the one at the head of the longest chain begins: its own work
// and that of the longest line of tasks that wait for it. One that yields begins only
// where no other may.
//
// A task may be given early, before its place in the script has come. It begins where no
// other may, and one session at least is left to the others; one that leads goes
// before all. Whatever fails stands before it. Once it is told its place it is a task like
// any other.
//
// When a task fails, those that stand behind it in the script are stopped and
// those before it go on, so that the failure that is told is the first one of
// the script, as if it had been executed in order. What was done by then is the
// caller's to discard.
package crew
