package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// answer is one copy's.
type answer struct {
	copy string
	err  error
}

// delivery is one file on its way to the copies.
type delivery struct {
	*pusher
	entry *entry
	// kept are the copies for which the spool keeps it already.
	kept []string
	sent sent
	// pending have not answered yet, spare are asked only where the quorum needs them.
	pending []string
	spare   []Copy
	answers chan answer
	refused []error
}

// begin asks the copies that the quorum needs, and those that should have it at once.
func (d *delivery) begin(ctx context.Context) {
	for _, c := range d.Copies {
		if len(d.Copies)-len(d.spare) > d.Quorum && (slices.Contains(d.kept, c.Name) || d.spool.isDown(c.Name, d.Now())) {
			d.spare = append(d.spare, c)
		} else {
			d.ask(ctx, c)
		}
	}
}

// ask sends it to a copy beside the others.
func (d *delivery) ask(ctx context.Context, c Copy) {
	d.pending = append(d.pending, c.Name)
	sending := *d.entry // which moves into the spool while those that are late are still at it
	go func() { d.answers <- answer{c.Name, d.send(ctx, c, &sending)} }()
}

// hear waits for the copies: for all as long as they may take for so much, and for those that
// are late a little longer than for the quorum.
func (d *delivery) hear(ctx, asked context.Context) error {
	patience := d.patience(d.entry.size)
	silent := time.NewTimer(patience)
	defer silent.Stop()
	var late <-chan time.Time
	for len(d.pending) > 0 {
		select {
		case a := <-d.answers:
			before := len(d.sent.copies)
			if err := d.answered(a); err != nil {
				return err
			}
			if n := len(d.sent.copies); n > before && n == d.Quorum {
				timer := time.NewTimer(d.Wait)
				defer timer.Stop()
				late = timer.C
			}
		case <-late:
			d.givesUp(d.Wait)
		case <-silent.C:
			d.givesUp(patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if len(d.sent.copies)+len(d.pending) < d.Quorum && len(d.spare) > 0 {
			for _, c := range d.spare {
				d.ask(asked, c)
			}
			d.spare = nil
			silent.Reset(patience)
		}
	}
	return nil
}

// answered takes a copy's answer. That another server has stored such a file there ends the
// delivery.
func (d *delivery) answered(a answer) error {
	if !slices.Contains(d.pending, a.copy) {
		return nil // nobody waits for it any more
	}
	d.pending = slices.DeleteFunc(d.pending, func(c string) bool { return c == a.copy })
	switch {
	case a.err == nil:
		d.spool.setUp(a.copy)
		d.sent.copies = append(d.sent.copies, a.copy)
	case errors.Is(a.err, ErrOther):
		d.refused = append(d.refused, fmt.Errorf("%s: %w", a.copy, a.err))
		return recovery.Errorf("find out which of two servers archives into this copy, and give one of them another place", "%w", errors.Join(d.refused...)).WithExit(recovery.Refused)
	default:
		d.missed(a.copy, a.err)
	}
	return nil
}

// missed leaves to the spool what a copy did not take.
func (d *delivery) missed(copy string, err error) {
	d.spool.setDown(copy, d.Now())
	d.sent.spooled = append(d.sent.spooled, copy)
	d.refused = append(d.refused, fmt.Errorf("%s: %w", copy, err))
}

// givesUp waits no longer for those that have not answered in so long.
func (d *delivery) givesUp(waited time.Duration) {
	for _, copy := range d.pending {
		d.missed(copy, noAnswer(waited))
	}
	d.pending = nil
}

// keep lets the spool have it durably for the copies that lack it.
func (d *delivery) keep() error {
	for _, c := range d.spare {
		d.sent.spooled = append(d.sent.spooled, c.Name)
	}
	if !slices.ContainsFunc(d.sent.spooled, func(c string) bool { return !slices.Contains(d.kept, c) }) {
		return nil // none lacks it for which the spool does not keep it already
	}
	d.entry.Lacking = d.sent.spooled
	if err := d.entry.keep(d.sent.copies); err != nil {
		lack := strings.Join(d.sent.spooled, ", ")
		return recovery.Errorf(fmt.Sprintf("make room in %s, or bring %s back; or take it out of the runbook, and give up what it lacks: comeback wal push RUNBOOK --catch-up --forget %s", d.Spool, lack, strings.Join(d.sent.spooled, ",")),
			"%s has it, but %s does not, and the spool does not take what it lacks: %w", strings.Join(d.sent.copies, ", "), lack, err)
	}
	return nil
}
