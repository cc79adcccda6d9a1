package execute

import (
	"context"
	"fmt"

	"comeback/recovery"
)

// giveBack takes over what the parent of a run still holds, in the order in which the
// parent has claimed it. It gives nothing back by itself: the end of every run does, in
// its order and with its proofs, and what it cannot give back stays with the parent.
type giveBack struct{ x *Executor }

func (giveBack) Name() string { return recovery.KindGiveBack }

// Restart says that what is held already is not claimed twice.
func (giveBack) Restart() recovery.Restart { return recovery.Repeat }

func (k giveBack) Do(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
	for _, r := range k.x.Plan.GivesBack {
		if err := e.Claim(ctx, r); err != nil {
			return recovery.Outcome{}, err
		}
	}
	return recovery.Outcome{Says: fmt.Sprintf("to give back: %d of what run %s had claimed", len(k.x.Plan.GivesBack), k.x.Plan.Parent)}, nil
}
