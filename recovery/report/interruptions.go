package report

import (
	"time"

	"comeback/recovery"
)

// Break is a time in which nobody ran the run.
type Break struct {
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Took     recovery.Duration `json:"took"`
	Reason   string            `json:"reason"`
	Rebooted bool              `json:"rebooted"`
	// By took the run up again and commands it since then, Unattended where
	// nobody could be asked any more, with the Version of comeback; journals
	// of the first release do not tell.
	By         string `json:"by,omitempty"`
	Unattended bool   `json:"unattended,omitempty"`
	Version    string `json:"version,omitempty"`
	// Steps were under way and were to do again. It is empty in what is made
	// of a journal of the first release.
	Steps []string `json:"steps_under_way,omitempty"`
	// Unknown says why it is not known how long it took, where it is not.
	Unknown string `json:"took_unknown_because,omitempty"`

	seq uint64 // the event of To
}

// CutOff is an attempt at a step that an interruption ended: it neither failed
// nor ended well.
type CutOff struct {
	Step    string    `json:"step"`
	Attempt int       `json:"attempt"`
	Started time.Time `json:"started"`
	// Until is the last sign of life of the run.
	Until time.Time         `json:"until"`
	Took  recovery.Duration `json:"took"`
	// Checkpoint is how far the step had come, where it said so.
	Checkpoint string `json:"checkpoint,omitempty"`
	// Unknown says why it is not known how long it took, where it is not.
	Unknown string `json:"took_unknown_because,omitempty"`

	from, to uint64 // the events of both
}

// Redone is a step that had ended and was to do again, because what it had made did
// not survive or because an amendment changed what it stands on.
type Redone struct {
	At   time.Time `json:"at"`
	Step string    `json:"step"`
	Why  string    `json:"why"`
}

// resume notes the end of an interruption; s is the state after it. A journal
// of the first release does not name who took the run up, and its report keeps
// the bytes that it had.
func (h *history) resume(at time.Time, p recovery.RunResumed, s *recovery.State) {
	b := Break{From: h.last, To: at, Took: between(h.last, at), Reason: p.Reason, Rebooted: p.BootID != h.lastBoot,
		By: p.By, Unattended: p.Unattended, Version: p.Version, seq: h.seq}
	h.lastBoot = p.BootID
	clear(h.underWay)
	if p.By != "" {
		b.Steps = s.Interruptions[len(s.Interruptions)-1].Steps
		for _, id := range b.Steps {
			started := h.began[id]
			h.cutOff = append(h.cutOff, CutOff{Step: id, Attempt: h.attempts[id], Started: started, Until: h.last,
				Took: between(started, h.last), Checkpoint: h.checkpoints[id], from: h.beganAt[id], to: h.seq - 1})
		}
		h.lease(LeaseChange{At: at, To: p.By, How: TookUp, Reason: p.Reason})
	}
	for _, a := range p.Artifacts {
		h.recorded[a.Name] = recorded{Artifact: a, unfinished: true}
	}
	h.breaks = append(h.breaks, b)
}

// interrupted is how much of a span nobody ran the run.
func (h *history) interrupted(from, to time.Time) recovery.Duration {
	var d recovery.Duration
	if from.IsZero() || to.IsZero() {
		return 0
	}
	for _, b := range h.breaks {
		start, end := later(b.From, from.UTC()), b.To
		if to.Before(end) {
			end = to.UTC()
		}
		if b.By != "" && end.After(start) {
			d += between(start, end)
		}
	}
	return d
}
