package report

import (
	"time"

	"comeback/recovery"
)

// LeaseChange says that somebody else commands the run from then on.
type LeaseChange struct {
	At   time.Time `json:"at"`
	From string    `json:"from"`
	To   string    `json:"to"`
	// How is "taken over", "handed over", or "took it up" for the end of an
	// interruption.
	How    string `json:"how"`
	Reason string `json:"reason,omitempty"`
}

// How a lease changes hands.
const (
	TakenOver  = "taken over"
	HandedOver = "handed over"
	TookUp     = "took it up"
)

// SecretGiven says that somebody typed in a value that was missing; never which.
type SecretGiven struct {
	At   time.Time `json:"at"`
	Name string    `json:"name"`
	By   string    `json:"by"`
}

// Call is a call for a person by the runbook's notify command.
type Call struct {
	At    time.Time `json:"at"`
	About string    `json:"about"`
	// Error says why nobody was reached by it.
	Error string `json:"error,omitempty"`
}

// lease notes that the command changes hands; one that stays where it is is no
// change.
func (h *history) lease(c LeaseChange) {
	if c.From == "" {
		c.From = h.holder
	}
	if c.To != h.holder {
		h.leases = append(h.leases, c)
	}
	h.holder = c.To
}

// person takes the events that tell what people did to the run as a whole, and
// reports whether it was one.
func (h *history) person(at time.Time, payload recovery.Payload) bool {
	switch p := payload.(type) {
	case recovery.LeaseTaken:
		h.lease(LeaseChange{At: at, From: p.From, To: p.By, How: TakenOver, Reason: p.Reason})
	case recovery.LeaseHanded:
		h.lease(LeaseChange{At: at, From: p.By, To: p.To, How: HandedOver})
	case recovery.SecretGiven:
		h.secrets = append(h.secrets, SecretGiven{At: at, Name: p.Name, By: p.By})
	case recovery.Notified:
		h.calls = append(h.calls, Call{At: at, About: p.About, Error: p.Error})
	default:
		return false
	}
	return true
}
