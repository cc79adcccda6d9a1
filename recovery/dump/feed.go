package dump

import (
	"strings"
	"sync"

	"comeback/recovery"
	"comeback/recovery/dump/script"
)

// feed is the progress of a script: bytes of the object, or where nobody can tell these
// the tables whose rows have come; and while indexes are built, of which no byte tells,
// statements. Whoever reads and the sessions tell it side by side.
type feed struct {
	meter recovery.Meter

	mu       sync.Mutex
	total    int64
	unit     recovery.Unit
	done     int64 // of the total
	begun    int64 // tables whose rows have begun to come
	built    int64 // statements that have ended since indexes are built
	building bool  // that is what is shown
	shown    bool  // something is
}

// measure says that the rest is told in another unit.
func (f *feed) measure(total int64, unit recovery.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total, f.unit = total, unit
}

// read counts bytes of the object.
func (f *feed) read(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached(f.done + int64(n))
}

// reach says how much of the total has been read.
func (f *feed) reach(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reached(at)
}

func (f *feed) reached(at int64) {
	if f.done = at; !f.building {
		f.meter.Set(at)
	}
}

// start says that what is restored is read from now on.
func (f *feed) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.showRead()
}

// data says that a table's rows come.
func (f *feed) data() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.shown || f.building {
		f.showRead()
	}
	if f.unit == recovery.InItems {
		f.reached(min(f.begun, f.total))
		f.begun++
	}
}

// showRead shows what is read.
func (f *feed) showRead() {
	f.shown, f.building = true, false
	f.meter.Phase("restore", f.total, f.unit)
	f.meter.Set(f.done)
}

// begins and ends are statements of the crew.
func (f *feed) begins(p script.Part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.building {
		f.building, f.built = true, 0
		f.meter.Phase("indexes and constraints", 0, recovery.InItems)
	}
	f.meter.Note(p.Summary())
}

func (f *feed) ends() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.building { // else rows have begun to come meanwhile
		f.built++
		f.meter.Set(f.built)
	}
}

// statement says what is executed by itself, where that can take time.
func (f *feed) statement(p script.Part) {
	summary := p.Summary()
	long := strings.HasPrefix(summary, "CREATE INDEX ") || strings.HasPrefix(summary, "CREATE UNIQUE INDEX ") ||
		strings.HasPrefix(summary, "ALTER TABLE ") && strings.Contains(summary, " ADD CONSTRAINT ") ||
		strings.HasPrefix(summary, "REFRESH MATERIALIZED VIEW ")
	if long {
		f.begins(p)
		f.ends()
	}
}
