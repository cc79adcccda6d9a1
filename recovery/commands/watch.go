package commands

import "comeback/recovery/written"

// watch shows how much lies in a directory, as long as the command itself says nothing of
// how far it is, and once more when it is ended.
func (a *answer) watch(dir string) (end func()) {
	seen := written.Watch(func() { a.look(dir) })
	return func() {
		seen()
		a.look(dir)
	}
}

// look counts what lies in a directory. One that cannot be read shows nothing: what is
// wrong with it is found when it is taken into service.
func (a *answer) look(dir string) {
	a.mu.Lock()
	told := a.told
	a.mu.Unlock()
	if told {
		return
	}
	w, err := written.Measure(dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && !a.told {
		a.meter.Set(w.Bytes)
	}
}
