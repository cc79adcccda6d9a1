package pitrtest

import "comeback/recovery/postgres"

// What majors do differently and only tests ask; all else is recovery/postgres's.

// TellsDropped reports whether a commit's record tells the OIDs of what it dropped,
// by the statistics that go with it.
func TellsDropped(t postgres.Tools) bool { return t.Major >= 15 }

// ByFiles ends a CREATE DATABASE that copies files instead of writing every page into
// the log; before 15 each does.
func ByFiles(t postgres.Tools) string {
	if t.Major >= 15 {
		return " strategy file_copy"
	}
	return ""
}
