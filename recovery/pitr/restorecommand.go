package pitr

// The environment of a restored server carries the way to the step that feeds
// it, so that restore_command is a constant; walfetch.SocketEnv is the third of it.
const (
	// exeEnv names the program that restore_command starts.
	exeEnv = "COMEBACK_EXE"
	// shelfEnv names the directory where the next segments lie.
	shelfEnv = "COMEBACK_WAL_READY"
)

// restoreCommand is the same for every server. PostgreSQL puts the file's name
// for %f and a path for %p, both of its own making. What lies ready is moved
// into place by the shell, in two milliseconds; for everything else, the first
// segment among it, the program asks the running step. PostgreSQL takes an exit code up to
// 125 for "not in the archive" and then opens the database early, which a crash
// of the program (2 in Go), a shell that cannot find it (127) or a signal must
// never bring about: only 1 passes, everything else becomes 200.
const restoreCommand = `{ test -f "$COMEBACK_WAL_READY/%f" && mv -f "$COMEBACK_WAL_READY/%f" "%p"; } || "$COMEBACK_EXE" wal fetch "%f" "%p" || case $? in 1) exit 1;; *) exit 200;; esac`
