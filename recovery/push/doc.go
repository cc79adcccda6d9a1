// Package push is the archive_command: it brings segments of a live server's log
// into the copies of a runbook.
//
// It promises that success means durable: in as many copies as the component's
// quorum asks for, and in the spool for those that have not got it yet. A segment
// that is there with the same content is as good; with other content it is an
// error, and nothing is ever overwritten. An interruption at any point loses
// nothing that was acknowledged: what the server was not told of it asks for
// again. What is in the spool leaves it when the last copy that lacks it has it, or
// when somebody gives it up by name; that a runbook does not name a copy is no reason.
//
// The spool is a directory of the server's host:
//
//	out/NAME.zst        a segment that a copy still lacks, compressed
//	out/NAME.json       which copies lack it, and its digest
//	done/NAME           a segment that was pushed along with an earlier one
//	down/COPY           a copy that did not answer a moment ago
//	lock                held by a push, from its first to its last byte
//	catching-up/COPY    held by what brings a copy what it lacks
//	changing            held for a moment by whoever changes a record
//
// A copy that the quorum does not need keeps no push waiting: not while it is brought
// what it lacks, and not where a question to it never ends. Such a question is left
// behind, and its copy alone for a while.
//
// It never deletes from a copy.
package push
