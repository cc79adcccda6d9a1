package rds_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/rds"
	"comeback/recovery/rds/rdstest"
)

// renaming is what a step of a switch runs in; it keeps what is claimed and noted.
type renaming struct {
	recovery.Env
	held  []recovery.Resource
	notes []string
}

func (*renaming) Target(context.Context, recovery.TargetID) (recovery.Handle, error) {
	return recovery.Handle{}, nil
}
func (*renaming) Secret(text string) (string, error) { return expand(text) }
func (r *renaming) Held() []recovery.Resource        { return r.held }
func (r *renaming) Meter() recovery.Meter            { return noting{r: r} }
func (r *renaming) Claim(_ context.Context, of recovery.Resource) error {
	r.held = append(r.held, of)
	return nil
}

type noting struct {
	recovery.Meter
	r *renaming
}

func (noting) Phase(string, int64, recovery.Unit) {}
func (n noting) Note(text string)                 { n.r.notes = append(n.r.notes, text) }

// What is in a state that it does not leave by itself is told with what to do, and not waited
// for: before the first rename, between the two, and when the names are given back.
func TestRename_stuck(t *testing.T) {
	live, old := "instance "+rdstest.SourceInstance, "instance shop-prod-old-1"
	service.Foreign("shop-prod-old-1")
	w, c := rds.NewSwitcher(rds.Options{}), instance("into", "rename")
	looked, err := w.Look(t.Context(), c, nil, expand)
	if err != nil {
		t.Fatal(err)
	}
	back, err := w.Back(recovery.SwitchContext{Component: c, Live: looked, By: "2", Run: "1"}, recovery.Old{Component: c.Name, Place: "shop-prod-old-1", Identity: recovery.Identity{"resource id": "db-FOREIGN"}})
	if err != nil {
		t.Fatal(err)
	}
	step := back.Exchange[0]
	i := slices.IndexFunc(w.Kinds(), func(k recovery.Kind) bool { return k.Name() == step.Kind })
	r := &renaming{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	refused := func(what string, err error, says, hint string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(recovery.HintOf(err), hint) {
			t.Errorf("%s: %v (%s)", what, err, recovery.HintOf(err))
		}
	}
	service.State(live, "backing-up", "backing-up", "storage-full")
	_, err = w.Kinds()[i].Do(ctx, r, step)
	refused("what is live has no room", err, "the RDS instance shop-prod is storage-full", "give it more storage")
	if !slices.Contains(r.notes, "the RDS instance shop-prod is backing-up") {
		t.Errorf("what is waited for is not told: %q", r.notes)
	}
	service.State(live, "available")
	service.State(old, "stopped")
	_, err = w.Kinds()[i].Do(ctx, r, step)
	refused("nobody has the name", err, "the RDS instance shop-prod-old-1 is stopped", "start it")
	aside := "instance shop-prod-old-2"
	if service.Resource(live) != "" || service.Resource(aside) != "db-SHOPPROD" {
		t.Errorf("live is %q, aside %q", service.Resource(live), service.Resource(aside))
	}
	release := func() error {
		for _, releaser := range w.Releasers(expand) {
			if releaser.Resource() == r.held[0].Kind {
				return releaser.Release(ctx, r.held[0])
			}
		}
		t.Fatal("nobody gives it back")
		return nil
	}
	service.State(aside, "inaccessible-encryption-credentials")
	refused("it is given back", release(), "is inaccessible-encryption-credentials", "let RDS use the key again")
	service.State(aside, "available")
	if err := release(); err != nil {
		t.Error(err)
	}
	if service.Resource(live) != "db-SHOPPROD" {
		t.Errorf("live is %q", service.Resource(live))
	}
	if err := service.Discard(old); err != nil {
		t.Error(err)
	}
}
