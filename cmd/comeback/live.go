package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
)

// lookLive reads the live targets of a recovery, side by side with nothing: each
// is a few queries. A rehearsal looks at none.
func (a *app) lookLive(ctx context.Context, b *book, mode recovery.Mode) ([]recovery.Live, error) {
	if mode != recovery.Recovery {
		return nil, nil
	}
	var all []recovery.Live
	for _, c := range plan.Switched(b.Runbook) {
		s, ok := switcher(c.Kind)
		if !ok {
			continue // the planner refuses it in its own words
		}
		l, err := s.Look(ctx, c, b.secrets.Expand)
		if err != nil {
			return nil, fmt.Errorf("look at the live %s: %w", c.Name, err)
		}
		all = append(all, l)
	}
	return all, nil
}

// identifier reads the identity of a live target anew.
func identifier(expand func(string) (string, error)) func(context.Context, recovery.Target) (recovery.Identity, error) {
	return func(ctx context.Context, t recovery.Target) (recovery.Identity, error) {
		s, ok := switcher(t.Switches)
		if !ok {
			return nil, recovery.Errorf("use the version of comeback that made the plan",
				"refused: this version knows no live targets of the kind %q", t.Switches).WithExit(recovery.Refused)
		}
		return s.Identify(ctx, t, expand)
	}
}

func switcher(kind recovery.ComponentKind) (recovery.Switcher, bool) {
	all := switchers()
	i := slices.IndexFunc(all, func(s recovery.Switcher) bool { return s.Kind() == kind })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// saveNames writes the names of a live server's relations.
func saveNames(ctx context.Context, address string, w io.Writer) error {
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	names, err := scan.ReadNames(ctx, conn)
	if err != nil {
		return err
	}
	return scan.EncodeNames(w, names)
}

// loadNames reads what saveNames has written.
func loadNames(r io.Reader) (recovery.Names, error) { return scan.DecodeNames(r) }
