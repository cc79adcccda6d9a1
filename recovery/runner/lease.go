package runner

import (
	"context"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
)

// Do asks the run for something in the name of c.By. Everybody may note, and
// hand in an approval, which proves itself; all else is for the operator who
// holds the lease, who may hand it over; anybody may take it over with a reason.
// Both are events.
func (r *Run) Do(_ context.Context, c recovery.Command) error {
	c.Text, c.To = harmless(c.Text, maxText), harmless(c.To, maxName)
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
	case c.Kind == recovery.DoApprove: // the signature says whose it is
	case c.Kind == recovery.DoTakeOver && mine:
		return recovery.Errorf("go on", "%s commands this run already", c.By)
	case c.Kind == recovery.DoTakeOver && c.Text == "":
		return recovery.Errorf("say why", "taking a run over needs a reason")
	case c.Kind == recovery.DoTakeOver:
	case !mine:
		return recovery.Errorf("ask for it to be handed over, or take it over with a reason",
			"refused: %s commands run %s since %s, not %s", s.Lease, r.Options.Plan.Run, s.LeaseSince.Format(time.RFC3339), c.By).WithExit(recovery.Refused)
	case c.Kind == recovery.DoHandOver && (c.To == "" || c.To == c.By):
		return recovery.Errorf("name somebody else", "a run is handed over to another operator")
	}
	return r.exec.Do(c)
}

const (
	maxText = 16 << 10 // of a note or a reason, in bytes
	maxName = 64       // of an operator or a word about a terminal
)

// harmless is what others may see of a text on their terminals, of its first limit bytes;
// nothing where that is blank.
func harmless(text string, limit int) string {
	text = recovery.HarmlessLines(strings.ToValidUTF8(text[:min(len(text), limit)], ""))
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// leaseLock makes the look at the holder and the command one act.
type leaseLock struct{ sync.Mutex }
