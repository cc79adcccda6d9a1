package recovery

import (
	"context"

	"comeback/storage"
)

// Ender is an Engine whose copies hold a log that goes on after the last backup.
type Ender interface {
	// End is where the log ended that a survey found, gaps or not; zero where it found none
	// that a backup needs. Of several clusters it is that of the newest. It is pure.
	End(s Survey) LSN
}

// Holder is an Ender that can tell what of a log has come into a copy.
type Holder interface {
	Ender
	// Holds reports whether the archive that a survey found has a segment, or a timeline's
	// history, by now, by PostgreSQL's name of it. It lists anew, and may be asked again
	// and again.
	Holds(ctx context.Context, s Survey, store storage.Store, file string) (bool, error)
}

// LogEnd is where the log ended that a survey found, as its engine knows it; zero where it
// knows of none.
func LogEnd(engines []Engine, s Survey) LSN {
	engine, _ := EngineNamed(engines, s.Engine)
	if logged, ok := engine.(Ender); ok {
		return logged.End(s)
	}
	return 0
}
