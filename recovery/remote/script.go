package remote

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// prefix begins every line that the script says: what else a login prints is
// skipped.
const prefix = "comeback-remote "

// The words of the script and of the program that it becomes.
const (
	saysSystem = "system"  // and its names
	saysSend   = "send"    // the program, as it is
	saysNo     = "refused" // and why
	saysBegun  = "begun"   // by the program: from here on there are frames
)

// script makes a host's shell become this program. It is read whole before its
// last line runs, so that what follows it is for head alone.
const script = `main() {
	say() { printf 'comeback-remote %%s\n' "$*"; }
	refuse() { say refused "$@"; exit 1; }
	holds() { [ "$(sha256sum 2>/dev/null <"$1")" = "$digest  -" ]; }
	digest=%s
	size=%d
	say system "$(uname -s)" "$(uname -m)"
	[ "$(uname -s) $(uname -m)" = '%s' ] || exit 0
	command -v sha256sum >/dev/null || refuse 'it has no sha256sum'
	umask 077
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/comeback
	program=$cache/$digest/comeback
	[ "$(stat -Lc %%a "$cache" 2>/dev/null)" = 700 ] || why=$({ mkdir -p "$cache" && chmod 700 "$cache"; } 2>&1) || refuse "$why"
	if ! { [ -x "$program" ] && holds "$program"; }; then
		why=$(mkdir -p "$cache/$digest" 2>&1) || refuse "$why"
		find "$cache/$digest" -name 'new.*' -mmin +60 -exec rm -f {} + 2>/dev/null
		new=$(mktemp "$cache/$digest/new.XXXXXX" 2>&1) || refuse "$new"
		trap 'rm -f "$new"' EXIT
		trap 'exit 1' HUP INT PIPE TERM
		say send
		why=$({ head -c "$size" >"$new"; } 2>&1) || refuse "$why"
		holds "$new" || refuse 'the program did not arrive whole'
		why=$({ chmod 700 "$new" && mv -f "$new" "$program"; } 2>&1) || refuse "$why"
		trap - EXIT HUP INT PIPE TERM
	fi
	why=$("$program" remote greet 2>&1 </dev/null) || refuse "it cannot run $program: $why"
	exec "$program" remote serve
}
main
`

// scriptFor is the script for a program.
func scriptFor(digest string, size int64, system string) string {
	return fmt.Sprintf(script, digest, size, system)
}

// thisSystem is the system and the machine as uname -s and uname -m have them.
func thisSystem() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("ask for this system's name: %w", err)
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Machine[:]), nil
}
