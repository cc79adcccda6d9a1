package execute

import "comeback/recovery"

// nobody reports whether nobody is there to decide anything: the run was begun, or taken up, for
// nobody to be asked, and nobody has taken its command since, was given it, has changed its plan
// or holds it back. mu is held.
func (x *Executor) nobody() bool {
	return x.Unattended && !x.attended && x.state.HeldBackBy == ""
}

// alone is nobody, for who does not hold mu.
func (x *Executor) alone() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.nobody()
}

// attend says that somebody is there from now on, who is asked about what has failed by then.
// What was to be done later, because nobody could be asked, is done at once. mu is held.
func (x *Executor) attend() {
	if !x.nobody() || x.state.Stop != nil {
		x.attended = true
		return
	}
	x.attended = true
	x.endPausesLocked()
	for i := range x.state.Steps {
		if st := &x.state.Steps[i]; st.State == recovery.FailedAt && !st.Retry && st.WaitsFor == "" {
			x.askAbout(st.Step)
		}
	}
	x.wake()
}
