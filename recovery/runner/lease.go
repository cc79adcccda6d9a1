package runner

import (
	"context"
	"sync"

	"comeback/recovery"
)

// Do asks the run for something in the name of c.By. Everybody may note; all
// else is for the operator who holds the lease, who may hand it over; anybody
// may take it over with a reason. Both are events.
func (r *Run) Do(_ context.Context, c recovery.Command) error {
	r.lease.Lock()
	defer r.lease.Unlock()
	s := r.exec.State()
	mine := c.By == s.Lease
	switch {
	case c.By == "":
		return recovery.Errorf("", "a command says who asks")
	case c.Kind == recovery.DoNote && c.Text == "":
		return recovery.Errorf("", "a note says something")
	case c.Kind == recovery.DoNote:
	case c.Kind == recovery.DoTakeOver && mine:
		return recovery.Errorf("go on", "%s commands this run already", c.By)
	case c.Kind == recovery.DoTakeOver && c.Text == "":
		return recovery.Errorf("say why", "taking a run over needs a reason")
	case c.Kind == recovery.DoTakeOver:
	case !mine:
		return recovery.Errorf("ask for it to be handed over, or take it over with a reason",
			"refused: %s commands run %s since %s, not %s", s.Lease, r.Options.Plan.Run, s.LeaseSince.Local().Format("15:04"), c.By).WithExit(recovery.Refused)
	case c.Kind == recovery.DoHandOver && (c.To == "" || c.To == c.By):
		return recovery.Errorf("name somebody else", "a run is handed over to another operator")
	}
	return r.exec.Do(c)
}

// leaseLock makes the look at the holder and the command one act.
type leaseLock struct{ sync.Mutex }
