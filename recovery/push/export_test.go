package push

import (
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
)

// Holds reports whether pg_receivewal can go on behind a file with a server's log.
func Holds(l Log, name string) (bool, error) {
	f, _ := walfile.Parse(name)
	ancestry, err := pitr.ParseAncestry(l.Timeline, l.History)
	return err == nil && l.holds(ancestry, f), err
}

// Pause is how long a receiver waits between two looks at what has come.
var Pause = pause
