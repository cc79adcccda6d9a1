// Package runbooks reads the Markdown file that says what a system consists of,
// where its copies are, what it owes and in which order it comes back.
//
// It promises three things. What runs can be read: a block runs only where a
// marker inside it says so ("# run:" or "# wait:", "-- check:" or "-- wait:", or
// YAML that begins with restore, check, switch or approve), because the first
// line of a fence is hidden on rendered pages. Every problem is reported at once, with its line, its column
// and what to write instead. And nothing is guessed: what the package does not
// understand is a problem, never left out in silence.
//
// The order of work: [Parse] cuts front matter from body, reads both, and then
// checks that they agree with each other; [Lint] checks the engines' own keys
// and the expectations, whose rules are handed in; [Runbook.Listing] says what
// will run and what will not.
//
// What a run does by itself is restored, checked and run; what it waits for is
// ticked, approved or comes true: "- [ ]" items, a second person's signature
// (approve: ROLE), a query's result or a script's success, asked every so often
// and for so long. The command of `notify` calls a person to it, word by word
// and without a shell; as every user of a host can read a command line, nothing
// secret may stand on it.
//
// It never resolves a reference such as ${DATABASE_URL}, never runs anything
// and never looks at a file, a clock or the environment.
package runbooks
