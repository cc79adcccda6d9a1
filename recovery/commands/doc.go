// Package commands is the engine that a runbook describes: backups are listed and
// fetched by commands of the runbook, so that a hosted provider's program or a
// script of the house is a source like any other, with moments, progress and proof.
//
//	database:
//	  kind: postgres
//	  with: commands
//	  list: [/usr/local/bin/shop-backups, list]
//	  fetch: [/usr/local/bin/shop-backups, fetch]
//	  remove: [/usr/local/bin/shop-backups, remove]
//	  environment: ["PROVIDER_TOKEN=${PROVIDER_TOKEN}"]
//
// A command is a program and its arguments, never a line for a shell. It gets an
// environment of its own: PATH, HOME, LC_ALL=C.UTF-8, TZ=UTC, what `environment:` names,
// and what it is asked for:
//
//	COMEBACK_COPY, COMEBACK_COPY_URL  the copy, by name and address
//	COMEBACK_COMPONENT                the component's name
//	COMEBACK_BACKUP                   fetch: the id of what is wanted
//	COMEBACK_TO                       fetch: the moment in a window, RFC 3339 in UTC; else empty
//	COMEBACK_DIR                      fetch: a directory of its own, empty, or with what an attempt that was cut off has left
//	COMEBACK_NAME                     fetch, remove: the name for what is made elsewhere, new for each run
//
// `list` prints one JSON object a line. A backup is
//
//	{"id": "nightly-28", "taken": "2026-11-28T02:00:00Z", "ended": "2026-11-28T02:04:00Z",
//	 "bytes": "1200000", "form": "volume snapshot", "problem": "", "details": {"region": "eu"}}
//
// where all but id and taken may be missing; a window, in which every second can be gone to, is
//
//	{"window": "automated", "from": "2026-11-21T00:00:00Z", "to": "2026-11-28T10:15:00Z"}
//
// `fetch` prints what it does, {"done": "12", "total": "100", "unit": "bytes", "says": "copying"}, and at
// its end what it has made, one of
//
//	{"tree": "uploads"}      kind files: a directory in COMEBACK_DIR
//	{"cluster": "data"}      kind postgres: a data directory in COMEBACK_DIR, which is started in scratch
//	{"address": "postgres://app:${APP_PASSWORD}@host/shop"}  kind postgres: a server that the command has made elsewhere
//
// with "reached": "2026-11-28T02:00:00Z" where it knows. Any other line, and standard error, goes to
// the step's log. An exit code other than 0 is a failure, told in the last words of standard error.
//
// `remove` removes what fetch has made elsewhere under COMEBACK_NAME, and succeeds only when nothing of
// it is left, also when nothing was there. Whatever answers with an address needs it: before fetch
// runs, the name is claimed, and the claim is given back through remove, also after a crash. A
// recovery leaves such a server running where it was made, and tells its address without a password;
// `comeback expire` has it removed by remove, when it answers and nobody is connected to it.
//
// The package promises that nothing is taken for restored that a command did not name, that an address is
// not the live one of the runbook, and that no secret is recorded: a password in an address is
// a reference, or refused. It does not shut a command off from anything: what it reaches is its author's.
package commands
