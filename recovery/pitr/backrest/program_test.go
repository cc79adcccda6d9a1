package backrest

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// What pgBackRest 2.45 says of a backup of PostgreSQL 18, and 2.60 of its configuration.
func TestFailure(t *testing.T) {
	err := failure(25, "pgbackrest: ASSERT: [025]: invalid PostgreSQL version 180000 (exit status 25)")
	if hint := recovery.HintOf(err); !strings.Contains(hint, "install a pgBackRest here that is not older") {
		t.Errorf("%v: the hint is %q", err, hint)
	}
	for line, want := range map[string]string{
		"P00   WARN: configuration file contains invalid option 'x'":                   "WARN: configuration file contains invalid option 'x'",
		"P00  ERROR: [055]: unable to open missing file '/x/pgbackrest.conf' for read": "ERROR: [055]: unable to open missing file '/x/pgbackrest.conf' for read",
		"P00   INFO: restore command begin 2.60.0:":                                    "",
		`[{"archive":[],"name":"P00 ERROR: "}]`:                                        "",
	} {
		if text, fatal := complaint(line); text != want || fatal != strings.HasPrefix(want, "ERROR") {
			t.Errorf("%q complains %q, fatal %v", line, text, fatal)
		}
	}
}
