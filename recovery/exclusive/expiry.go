package exclusive

import (
	"context"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// margin is how much longer than its length a lease is left alone: for clocks
// that step, and for services that tell whole seconds.
func margin(length time.Duration) time.Duration { return length/2 + 2*time.Second }

// await returns when the lease that was seen may be taken, and refuses where it
// may not: its holder released it, has died on this host, or has been silent
// for the lease's length and the margin.
func (l *lease) await(ctx context.Context, seen storage.Object, by record) error {
	if by.Released || by.Place != "" && by.Place == l.mine.Place {
		// The lock of this host is ours, so a holder of this host is gone.
		return nil
	}
	length := time.Duration(by.Lease)
	clock, ok := storage.As[storage.Clock](l.store)
	if !ok {
		return l.watch(ctx, seen, by, length)
	}
	now, err := clock.Now(ctx)
	if err != nil {
		return l.watch(ctx, seen, by, length)
	}
	end := seen.Modified.Add(length + margin(length))
	if now.After(end) {
		return nil
	}
	return l.held(by, fmt.Sprintf("if that host is dead, try again in %s", recovery.FormatSpan(end.Sub(now).Truncate(time.Second)+time.Second)))
}

// watch waits for as long as the holder may be silent, and refuses as soon as it
// gives a sign of life. It goes by a timer, which no step of a clock shortens: the
// holder of a lease may be too careful, who would take it may not.
func (l *lease) watch(ctx context.Context, seen storage.Object, by record, length time.Duration) error {
	silent := time.NewTimer(length + length/2)
	defer silent.Stop()
	tick := time.NewTicker(max(length/6, 10*time.Millisecond))
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-silent.C:
			over = true
		}
		o, err := l.store.Stat(ctx, seen.Key)
		if err != nil {
			return err
		}
		if o.Revision != seen.Revision {
			return l.held(by, "it is alive: its lease was renewed just now")
		}
	}
	return nil
}

// held is the refusal of a target that a run on another host is at work on.
func (l *lease) held(by record, how string) error {
	hint := "look at " + l.store.URL() + "/" + lockKey(l.mine.Target) + "; " + how
	if by.Run != "" {
		hint = fmt.Sprintf("on %s: comeback status %s; %s", by.Host, by.Run, how)
	}
	if by.Run == "" {
		return recovery.Errorf(hint, "refused: somebody holds a lease on %s in %s that cannot be read", l.mine.Target, l.store.URL()).WithExit(recovery.Refused)
	}
	return recovery.Errorf(hint, "refused: %s has been at work on %s since %s (process %d on %s)",
		by, l.mine.Target, clock(by.Since, l.now()), by.PID, by.Host).WithExit(recovery.Refused)
}
