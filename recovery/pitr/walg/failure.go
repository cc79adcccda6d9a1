package walg

import (
	"errors"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/tool"
	"comeback/storage"
)

// explained is what WAL-G says as an error of storage's, with its next step. All of its
// failures end with the same code, so that only its words tell them apart.
func explained(err error) error {
	var failed *tool.Failure
	if !errors.As(err, &failed) {
		return err
	}
	hint, kind := kindOf(failed.Error())
	return &recovery.Error{What: "wal-g: " + brief(failed.Error()), Hint: hint, Err: kind}
}

// kinds are failures by what WAL-G, its storages and its libraries say; the first that fits
// counts. Damage is only what a library says of the bytes themselves: a stream that ends
// too early is one whose connection broke as well, and the name of an object, which many
// messages have in them, says nothing of its content. Missing is only what a storage says
// of an object of its own.
var kinds = []struct {
	says *pattern.Pattern
	kind error
	hint string
}{
	{pattern.New(`(?i)ExpiredToken|token (has|is) expired`), storage.ErrExpired, "renew the credentials in WAL-G's configuration or in the component's `environment`, then try again"},
	{pattern.New(`(?i)permission denied|AccessDenied|access denied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|NoCredentialProviders|unauthorized|status code: 40[13]|StatusCode: 40[13]`),
		storage.ErrDenied, "let the user that servers run as read the storage and WAL-G's configuration, or renew the keys in it; then try again"},
	{pattern.New(`(?i)no such host|connection (?:refused|reset|timed out|lost|closed)|broken pipe|i/o timeout|handshake timeout|deadline exceeded|SlowDown|RequestError|network is unreachable|status code: 5\d\d|StatusCode: 5\d\d`),
		storage.ErrUnavailable, "check the network and the storage's endpoint, then try again: nothing is proven to be missing"},
	{pattern.New(`(?i)configured storage|no storage is configured|required variable|failed to parse config|NoSuchBucket|unknown (command|flag)`),
		storage.ErrConfig, "correct WAL-G's configuration, or the component's `config` and `environment`"},
	{pattern.New(`\bEOF\b`), pitr.ErrUncertain, uncertainHint},
	{pattern.New(`(?i)openpgp|decrypt|libsodium|sodium|private key|passphrase`),
		storage.ErrConfig, "correct the key in WAL-G's configuration, or WALG_LIBSODIUM_KEY or WALG_PGP_KEY in the component's `environment`"},
	{pattern.New(`(?i)file extension|decompressor`), storage.ErrConfig, "install a WAL-G that was built with what the storage is compressed with"},
	{pattern.New(`(?i)(?:^|[\s:])lz4: (?:bad magic|invalid (?:header|block|frame) checksum|invalid source)|magic number|CRC check failed|invalid input: |\bcorrupt|tar: invalid tar header`),
		storage.ErrCorrupt, "choose another backup, or get the segment from the server's pg_wal"},
	{pattern.New(`(?i)does not exist|not found in storage|NoSuchKey`), storage.ErrNotExist, "check the component's `config`, and look with: wal-g backup-list"},
}

// uncertainHint is the next step where neither the words nor a second look tell the cause.
const uncertainHint = "try again: nothing is proven to be damaged or missing; if it stays so, run wal-g backup-list and the like by hand, as the user that servers run as"

// kindOf judges a failure by its words. What nobody knows is not certain.
func kindOf(says string) (hint string, kind error) {
	for _, k := range kinds {
		if k.says.MatchString(says) {
			return k.hint, k.kind
		}
	}
	return uncertainHint, pitr.ErrUncertain
}

// logged is a line of WAL-G's log.
var logged = pattern.New(`^(?:wal-g: )?(INFO|WARNING|ERROR|DEBUG): \d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? (.*)$`)

// brief is the heart of what WAL-G says: what it calls errors and warnings, or all of it
// where it calls nothing so.
func brief(says string) string {
	lines := func(keep func(level string) bool) string {
		return tool.Brief(says, func(line string) string {
			if m := logged.FindStringSubmatch(line); m != nil {
				if !keep(m[1]) {
					return ""
				}
				return m[2]
			}
			if line == "wal-g:" || !keep("") {
				return ""
			}
			return strings.TrimPrefix(line, "wal-g: ")
		})
	}
	if wrong := lines(func(level string) bool { return level == "ERROR" || level == "WARNING" }); wrong != "" {
		return wrong
	}
	return lines(func(string) bool { return true })
}
